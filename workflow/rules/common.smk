import ast
import hashlib
import json
import os
import shlex
import subprocess
import sys

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from msclnet import config as settings
from msclnet import studies

try:
    CONFIG = settings.build(settings.Config, config)
except settings.ConfigError as error:
    raise WorkflowError(f"configuration: {error}") from None

ALL_CORES = 1024  # Snakemake lowers it to the cores it was given
FIGURES = {
    name: ["cmc", "losses", "embedding", "distances", *(["cameras"] if name != "regdb" else []), "ranked", "activation"]
    for name in CONFIG.run.sets
}  # RegDB has one camera a modality: its pair is in the table
FORMAT = CONFIG.figures.format  # the report's; each figure is written as SVG and PNG
OTHER = "png" if FORMAT == "svg" else "svg"
METHODS = [settings.UNTRAINED, *CONFIG.run.methods]
STUDIED = CONFIG.methods[CONFIG.studies.method].losses
VARIANTS = studies.variants(CONFIG.studies, STUDIED)

# What every job's shell knows. The scripts import msclnet from this checkout in every environment, conda's included, which
# it is not installed into. Where a training is mirrored to is no parameter of it: a change there retrains nothing.
EXPORTS = {
    "PYTHONPATH": ROOT,
    "SCRIPTS": ROOT / "workflow/scripts",
    "TRACKING_URI": CONFIG.tracking.uri,
    "TRACKING_EVERY": CONFIG.tracking.live_every,
}
assignments = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in EXPORTS.items())
shell.prefix(f"set -euo pipefail; export {assignments}; ")


wildcard_constraints:
    set="regdb|sysu",
    method="|".join(map(re.escape, METHODS)),
    variant="|".join(map(re.escape, VARIANTS)),
    split=r"[0-9]+",


def inline(section):
    """A section of the configuration as a script takes it on its command line."""
    return json.dumps(settings.plain(section))


NETWORK = ["msclnet/model", "msclnet/train.py"]
BATCHES = ["msclnet/data/dataset.py", "msclnet/data/sampling.py", "msclnet/data/augment.py"]


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
    return "" if getattr(CONFIG.data, name).root == settings.STAND_IN else "--real"


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


def gpus():
    """GPUs a job on this machine may use: those of CUDA_VISIBLE_DEVICES, else all there are."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip()])
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    except OSError:
        return 0
    return listed.stdout.count("GPU ") if listed.returncode == 0 else 0


GPUS = gpus()


def processes(wildcards):
    """DDP processes of a training: as configured, or one per GPU given to it, or 1."""
    wanted = train_job(wildcards).processes
    return max(1, GPUS) if wanted == "auto" else wanted


def training_threads(wildcards):
    """The cores of a training: on the CPU its processes' threads; with GPUs all, so that one training has them all."""
    return ALL_CORES if GPUS else processes(wildcards) * CONFIG.train.threads
