import ast
import hashlib
import json
import os
import shlex
import sys

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from msclnet import config as settings
from msclnet.launch import gpu_lease as devices
from msclnet.results import studies

try:
    CONFIG = settings.build(settings.Config, config)
except settings.ConfigError as error:
    raise WorkflowError(f"configuration: {error}") from None

# A scheduler counts the GPUs, whether this is the Snakemake that plans or the one that a job of it runs.
CLUSTER = not workflow.local_exec or workflow.remote_exec
ALL_CORES = 1024  # Snakemake lowers it to the cores it was given; on a cluster profiles/slurm does
FIGURES = {
    name: ["cmc", "losses", "embedding", "distances", *(["cameras"] if name != "regdb" else []), "ranked", "activation"]
    for name in CONFIG.run.sets
}  # RegDB has one camera a modality: its pair is in the table
FORMAT = CONFIG.figures.format  # the report's; each figure is written as SVG and PNG
OTHER = "png" if FORMAT == "svg" else "svg"
METHODS = [settings.UNTRAINED, *CONFIG.run.methods]
STUDIED = CONFIG.methods[CONFIG.studies.method].losses
VARIANTS = studies.variants(CONFIG.studies, STUDIED)

# The process on whose terminal a training shows how far it is, beside its log: this Snakemake, if it is to say anything.
TERMINAL = os.getpid() if sys.stderr.isatty() and not workflow.output_settings.quiet else 0

# What every job's shell knows. The scripts import msclnet from this checkout in every environment, conda's included, which
# it is not installed into. Where a training is mirrored to and how it survives are no parameters of it: a change retrains
# nothing.
EXPORTS = {
    "PYTHONPATH": ROOT,
    "SCRIPTS": ROOT / "workflow/scripts",
    "TRACKING_URI": CONFIG.tracking.uri,
    "TRACKING_EVERY": CONFIG.tracking.live_every,
    "CHECKPOINT_EVERY": CONFIG.survival.checkpoint_every,
    "RESTARTS": CONFIG.survival.restarts,
    "PROCESS_TIMEOUT": CONFIG.survival.timeout,
    "TERMINAL": TERMINAL,
}
assignments = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in EXPORTS.items())
shell.prefix(f"set -euo pipefail; export {assignments}; ")


wildcard_constraints:
    set="regdb|sysu|llcm",
    method="|".join(map(re.escape, METHODS)),
    variant="|".join(map(re.escape, VARIANTS)),
    split=r"[0-9]+",


def inline(section):
    """A section of the configuration as a script takes it on its command line."""
    return json.dumps(settings.plain(section))


READERS = ["msclnet/datasets"]
NETWORK = ["msclnet/model", "msclnet/training/trainer.py"]
BATCHES = ["msclnet/data/loader.py", "msclnet/data/sampling.py", "msclnet/data/augmentation.py"]


def code(*names):
    """A digest of the named source files and folders, comments and docstrings aside: an edit re-runs what used them."""
    digest = hashlib.sha256()
    for name in sorted(names):
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(ast.dump(_without_docstrings(ast.parse(file.read_text()))).encode())
    return digest.hexdigest()[:12]


def _without_docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def root(name):
    """The folder of a data set's images: the user's, or the drawn stand-in's."""
    given = getattr(CONFIG.data, name).root
    return f"data/stand-in/{name}" if given == settings.STAND_IN else given


def real_flag(name):
    """Whether the counts are to be the real set's: also those of a stand-in drawn like it."""
    free = getattr(CONFIG.data, name).root == settings.STAND_IN and not getattr(CONFIG.stand_in, name).like
    return "" if free else "--real"


def drawn(name):
    """What the reading of a data set waits for: nothing when the images are the user's."""
    return [f"data/stand-in/{name}/drawn.json"] if getattr(CONFIG.data, name).root == settings.STAND_IN else []


def trainings(name, methods):
    """The folder of each training of a data set."""
    return [f"results/{name}/{method}/split{split}" for method in methods for split in settings.splits(CONFIG, name)]


def shown(file, methods=None):
    """The file of each trained method, or of ``methods``, on the data set's first split: what single features show."""
    return lambda wildcards: [
        f"results/{wildcards.set}/{method}/split{settings.splits(CONFIG, wildcards.set)[0]}/{file}"
        for method in methods or CONFIG.run.methods
    ]


def figures(name):
    """Every figure of a data set, as the report shows it."""
    return [f"results/figures/{name}_{figure}.{FORMAT}" for figure in FIGURES[name]]


def studied(variant, file):
    """A file of each of a variant's trainings, one a seed."""
    folders = (studies.method_name(variant, seed) for seed in CONFIG.studies.seeds)
    return [f"results/{CONFIG.studies.set}/{folder}/split{CONFIG.studies.split}/{file}" for folder in folders]


def model_of(wildcards):
    """The model whose features are wanted. The untrained network is one and the same for every split."""
    folder = f"results/{wildcards.set}/{wildcards.method}"
    return (
        f"{folder}/model.pt" if wildcards.method == settings.UNTRAINED else f"{folder}/split{wildcards.split}/model.pt"
    )


def job(wildcards):
    """The section of the configuration that one training reads."""
    return inline(train_job(wildcards))


def train_job(wildcards):
    if wildcards.method.startswith(f"{studies.FOLDER}/"):
        return studies.train_job(CONFIG, wildcards.method)
    return settings.train_job(CONFIG, wildcards.set, wildcards.method, int(wildcards.split))


def untrained_job(wildcards):
    """The section of the network before its first step."""
    first = settings.splits(CONFIG, wildcards.set)[0]
    return inline(settings.train_job(CONFIG, wildcards.set, settings.UNTRAINED, first))


# Snakemake counts GPUs; launch.py chooses them, and locks them against whoever else uses this machine.
GPUS = 0 if CLUSTER else len(devices.visible())
GPUS_EACH = min(1, GPUS) if CONFIG.run.gpus_per_training == "auto" else CONFIG.run.gpus_per_training
NODES = CONFIG.run.nodes_per_training
if not CLUSTER and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS)  # without a limit Snakemake would not count them

if CLUSTER and not workflow.remote_exec and CONFIG.run.gpus_per_training == "auto":
    logger.warning(
        "run.gpus_per_training: auto is no GPU on a cluster, whose nodes this machine cannot see: trainings run on the CPU. State "
        "the number of GPUs a training gets; 0 is the CPU."
    )
for name in CONFIG.run.sets:
    wanted = getattr(CONFIG.data, name).processes
    together, cores = (
        CONFIG.train.threads * (1 if wanted == "auto" else wanted),
        workflow.global_resources["_cores"].value,
    )
    if not (CLUSTER or GPUS) and cores and together > cores:
        logger.warning(
            f"data.{name}.processes x train.threads: {together} threads, and this run has {cores} cores for them to take turns on. Lower "
            f"either, or raise --cores."
        )
    if GPUS and GPUS_EACH and wanted != "auto" and wanted > GPUS:
        logger.warning(
            f"data.{name}.processes: {wanted} processes and {GPUS} GPUs on this machine: they run on the CPU. Set it to auto, or "
            f"to {GPUS} or less, for GPUs."
        )


def processes(wildcards):
    """DDP processes of a training: as configured, or one per GPU of it, or one per node."""
    wanted = train_job(wildcards).processes
    if wanted != "auto":
        return wanted
    if not CLUSTER and GPUS_EACH > GPUS:
        raise WorkflowError(
            f"run.gpus_per_training: {GPUS_EACH}, and this machine has {GPUS} GPUs to use "
            f"({devices.VISIBLE}={os.environ.get(devices.VISIBLE, 'not set')}); lower it, or make more visible"
        )
    return max(NODES, GPUS_EACH)


def device(wildcards):
    """What a training's processes run on: each on a GPU of its own, or all on the CPU."""
    return "gpu" if GPUS_EACH and (CLUSTER or processes(wildcards) <= GPUS) else "cpu"


def share_of_cores(wanted, gpus):
    """The cores of a job on ``gpus`` of this machine's: at most the same part of its cores, so that no GPU is left idle."""
    cores = workflow.global_resources["_cores"].value or os.cpu_count()
    return max(1, min(wanted, cores * gpus // GPUS)) if GPUS else wanted


def training_threads(wildcards):
    """The cores of a training on each of its nodes: its processes' threads."""
    local = processes(wildcards) // NODES
    return share_of_cores(local * CONFIG.train.threads, local if device(wildcards) == "gpu" else GPUS)


def counted(gpus):
    """The resource `gpu`, which Snakemake counts on this machine."""
    return 0 if CLUSTER else gpus


def requested(gpus):
    """The resource `gres`, which asks Slurm for GPUs on each node."""
    return f"gpu:{gpus}" if CLUSTER and gpus else None


def training_gpus(wildcards):
    """GPUs of a training on each of its nodes."""
    return processes(wildcards) // NODES if device(wildcards) == "gpu" else 0


EMBEDDING_GPUS = min(1, GPUS_EACH)
EMBEDDING_DEVICE = "gpu" if EMBEDDING_GPUS else "cpu"
