import json
import os
import shlex
import sys
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from msclnet import config as settings
from msclnet.config.rules import NO_FILE
from msclnet.core import address, yaml_text
from msclnet.core.address import masked
from msclnet.core.command import REMADE
from msclnet.core.errors import UserError
from msclnet.core.registry import PLUGINS
from msclnet.core.sources import Sources
from msclnet.core.content import content
from msclnet.datasets.table import SETS
from msclnet.launch import gpu_list
from msclnet.launch.plan import Plan
from msclnet.results import captions, layout, shared, studies

LAID_OVER = [os.path.relpath(file) for file in workflow.overwrite_configfiles or []]
named = bool(config["run"].get("name"))
if not named:
    config["run"]["name"] = layout.experiment(LAID_OVER)
try:
    for file in [] if workflow.remote_exec else workflow.configfiles:
        settings.read_yaml(str(file))  # which takes no key twice: of two Snakemake has lost the first
    # Of --config Snakemake hands over words alone.
    told = yaml_text.untyped(workflow.config_settings.config)
    CONFIG = settings.build(settings.Config, settings.merge(config, told))
except UserError as error:
    raise WorkflowError(f"configuration: {error}") from None

HERE = layout.Layout(CONFIG.run.name)
OUT = HERE.root
METHODS = [settings.UNTRAINED, *CONFIG.run.methods]
CONFIGURED = [name for name in SETS.names() if CONFIG.data.has(name)]  # run.sets among them
FORMAT = CONFIG.figures.format  # the report's; each figure is written as SVG and PNG
OTHER = "png" if FORMAT == "svg" else "svg"
ALL_CORES = 1024  # Snakemake lowers it to the cores it was given; on a cluster profiles/slurm does

# A scheduler counts the GPUs, whether this is the Snakemake that plans or the one that a job of it runs.
CLUSTER = not workflow.local_exec or workflow.remote_exec
PLAN = Plan(
    gpus_wanted=CONFIG.run.gpus_per_training,
    nodes=CONFIG.run.nodes_per_training,
    threads=CONFIG.train.threads,
    gpus=0 if CLUSTER else len(gpu_list.visible()),
    cores=workflow.global_resources["_cores"].value,
    cluster=CLUSTER,
    obstacle="" if CLUSTER else gpu_list.obstacle(),
    share=CONFIG.run.trainings_per_gpu,
)
if not CLUSTER and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", PLAN.places)  # without a limit Snakemake would not count them
if not workflow.remote_exec:
    for warning in PLAN.warnings({name: CONFIG.data.of(name).processes for name in CONFIG.run.sets}):
        logger.warning(warning)
    if not named and (warning := HERE.others(LAID_OVER)):
        logger.warning(warning)


onstart:
    HERE.note(LAID_OVER)


def literally(text):
    """A text for Snakemake to format: a brace in the path of a checkout is no wildcard."""
    return str(text).replace("{", "{{").replace("}", "}}")


ENVS = literally(ROOT / "envs")

# What every job's shell knows. The scripts import msclnet from this checkout in every environment, conda's included, which
# it is not installed into. Where a training is mirrored to and how it survives are no parameters of it: a change retrains
# nothing.
EXPORTS = {
    "PYTHONPATH": ROOT,
    "SCRIPTS": ROOT / "workflow/scripts",
    PLUGINS: os.pathsep.join(CONFIG.plugins),
    "EXPERIMENT": CONFIG.run.name,
    "TRACKING_EVERY": CONFIG.tracking.live_every,
    "CHECKPOINT_EVERY": CONFIG.survival.checkpoint_every,
    "SHARE": CONFIG.run.trainings_per_gpu,
    "RESTARTS": CONFIG.survival.restarts,
    "PROCESS_TIMEOUT": CONFIG.survival.timeout,
    REMADE: 1,
}
os.environ[address.VARIABLE] = CONFIG.tracking.uri  # no command line, which others can read: it may hold a password
assignments = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in EXPORTS.items())
shell.prefix(literally(f"set -euo pipefail; export {assignments}; "))


wildcard_constraints:
    set="|".join(map(re.escape, CONFIGURED)),
    method="|".join(map(re.escape, METHODS)),
    split=r"[0-9]+",
    folder=r"[^/]+",


def inline(section):
    """A section of the configuration as a script takes it on its command line."""
    return json.dumps(settings.plain(section))


# Code that decides no number, figure or page, by what an edit of it would run again without need: messages, files and
# locks; what the values of the configuration are checked by; where a job runs; the terminal and the mirror of a training.
MESSAGES = [
    "msclnet.core.address",
    "msclnet.core.archive",
    "msclnet.core.errors",
    "msclnet.core.file_kind",
    "msclnet.core.files",
    "msclnet.core.array_file",
    "msclnet.core.workers",
    "msclnet.core.command",
    "msclnet.core.torch_file",
    "msclnet.core.optional",
    "msclnet.cli",
]
CHECKS = [
    "msclnet.config",
    "msclnet.core.numbers",
    "msclnet.core.yaml_text",
    "msclnet.core.section",
    "msclnet.core.registry",
]
MACHINE = ["msclnet.launch", "msclnet.training.failure", "msclnet.training.progress", "msclnet.training.live_mirror"]
UNDECISIVE = [*MESSAGES, *CHECKS, *MACHINE]
# A training reads a pack: how a set is read and drawn was decided before it, and how it is scored will be after it. But
# one that is validated reads who is held out, and may keep the weights that score best.
AROUND_TRAINING = [*UNDECISIVE, "msclnet.standin", "msclnet.results", "msclnet.tracking"]
AFTER_TRAINING = ["msclnet.datasets", "msclnet.evaluation"]
# Who is compared with whom is nothing to the images, whose packs every training reads.
AROUND_DATA = (*UNDECISIVE, "msclnet.datasets.protocol")
SOURCES = Sources(ROOT)


@cache
def code(*scripts, without=tuple(UNDECISIVE)):
    """A digest of what the scripts run, plugins included: an edit re-runs what used it."""
    plugins = [Path(plugin).resolve() for plugin in CONFIG.plugins]
    return SOURCES.digest(*(f"workflow/scripts/{name}.py" for name in scripts), without=without, beside=plugins)


def code_of_training(job):
    """The digest of what decides a training's result."""
    after = [] if job.train.validate_every else AFTER_TRAINING
    return code("train", without=(*AROUND_TRAINING, *after))


def of_set(function):
    """A function of the configuration and a data set as one of wildcards."""
    return lambda wildcards: function(CONFIG, wildcards.set)


data_label = of_set(settings.data_label)
caption_words = of_set(captions.words)  # what the report's captions say of a data set

# Each variant of a study has a configuration of its own. A study that cannot be run is named when it is asked for.
STUDIES, UNFIT = studies.plans(CONFIG)

# What experiments share, by the name of its folder: with the configuration and the data set that it is of.
SHARED = [
    *((CONFIG, name) for name in CONFIGURED),
    *((variant.config, plan.study.set) for plan in STUDIES.values() for variant in plan.variants),
]
STAND_INS = {Path(shared.stand_in(*of)).name: of for of in reversed(SHARED) if shared.is_drawn(*of)}
PACKS = {Path(shared.pack(*of)).name: of for of in reversed(SHARED)}


def pack_of(name, config=CONFIG):
    """The file that is written last of a data set's pack."""
    return f"{shared.pack(config, name)}/pack.json"


def job_of(name, method, split):
    """The section of the configuration that one training reads. The untrained network is one for every split."""
    first = settings.splits(CONFIG, name)[0]
    return settings.train_job(CONFIG, name, method, first if method == settings.UNTRAINED else split)


JOBS = [
    (CONFIG, job_of(name, method, split))
    for name in CONFIGURED
    for method in METHODS
    for split in settings.splits(CONFIG, name)
]
STUDIED = studies.trainings(list(STUDIES.values()))  # by study, variant, split and seed
TRAININGS = {Path(shared.training(*of)).name: of for of in (*STUDIED.values(), *JOBS)}


def trained(name, method, split, file=layout.MODEL):
    """A file of a training, where it was trained."""
    return f"{shared.training(CONFIG, job_of(name, method, int(split)))}/{file}"


def folders(name, methods):
    """The folder of each training of a data set in this experiment."""
    return [HERE.training(name, method, split) for method in methods for split in settings.splits(CONFIG, name)]


def files(file, methods):
    """A file of each training of a data set, as a rule's input."""
    return lambda wildcards: [f"{folder}/{file}" for folder in folders(wildcards.set, methods)]


def first_split(file):
    """A file of each trained method on the data set's first split: what single features show."""
    return lambda wildcards: [
        f"{HERE.training(wildcards.set, method, settings.splits(CONFIG, wildcards.set)[0])}/{file}"
        for method in CONFIG.run.methods
    ]


def figures(name):
    """Every figure of a data set, as the report shows it."""
    return [HERE.figure(name, figure, FORMAT) for figure in SETS.get(name).figures]


def wanted_of(name):
    """All that a run leaves of a data set: what is missing of it is made again."""
    models = [f"{folder}/{layout.MODEL}" for folder in folders(name, CONFIG.run.methods)]
    return [
        f"{OUT}/{name}/data.json",
        *models,
        f"{OUT}/{name}/{settings.UNTRAINED}/{layout.MODEL}",
        *(f"{folder}/{file}" for folder in folders(name, METHODS) for file in (layout.FEATURES, layout.SCORES)),
        *(HERE.table(name, kind) for kind in ("summary", "trials", "differences")),
        *figures(name),
        f"{OUT}/tracking/{name}_models.json",
    ]


def drawn(wildcards):
    """What the reading of a data set waits for: nothing when the images are the user's."""
    of = PACKS[wildcards.folder]
    return [f"{shared.stand_in(*of)}/drawn.json"] if shared.is_drawn(*of) else []


NOTES = Path("data/content")  # of what the user's paths hold


@cache
def held(path, endings=("",)):
    """What lies under a path of the user's, once a planning."""
    return content(path, NOTES, endings)


def root_content(config, name):
    """What lies in the folder of a real set; of drawn people their own rule knows."""
    return "" if shared.is_drawn(config, name) else held(shared.root(config, name))


def lists_content(config, name):
    """What stands in the real set's lists that drawn people are to be like."""
    like = config.stand_in.of(name).like
    return held(like, (".txt", ".mat")) if like else ""


def weights_content(job):
    """What lies in the file of the weights that a training begins with."""
    return held(job.model.weights) if job.model.weights not in NO_FILE else ""


def packed(function):
    """A function of the configuration and a data set as one of a pack's wildcards."""
    return lambda wildcards: function(*PACKS[wildcards.folder])


def drawn_by(function):
    """A function of the configuration and a data set as one of a stand-in's wildcards."""
    return lambda wildcards: function(*STAND_INS[wildcards.folder])


def deep_range(config, name):
    """What is black and what is white in deep images, as pack.py takes it."""
    return f"--deep-range {' '.join(map(str, config.data.deep_range))}" if config.data.deep_range else ""


IN_PLACE = (layout.MODEL, layout.METRICS, layout.CONFIG)


FORCED = "MSCLNET_FORCED"  # in the environment, which the jobs of a cluster inherit


def forced():
    """What --forcerun names, and "all" for --forceall; Snakemake knows them when it plans, not when it reads the rules."""
    if not workflow.remote_exec:
        told = [*workflow.dag_settings.forcerun, *(["all"] if workflow.dag_settings.forceall else [])]
        os.environ[FORCED] = json.dumps(sorted(map(str, told)))
    return set(json.loads(os.environ.get(FORCED, "[]")))


def anew(wildcards):
    """Whether a training is to begin at its first step: it, or what it reads, was named with --forcerun."""
    outputs = {f"{layout.TRAININGS}/{wildcards.folder}/{file}" for file in IN_PLACE}
    return int(bool(forced() & {"all", "train", "pack", "check_data", "stand_in", *outputs}))


def job(wildcards):
    return TRAININGS[wildcards.folder][1]


def pack_trained_on(wildcards):
    config, job = TRAININGS[wildcards.folder]
    return pack_of(job.set, config)


def embedding(config=CONFIG):
    """How images are embedded, as features.py takes it."""
    flip = ["--flip"] if config.evaluate.flip else []
    return " ".join([f"--batch {config.evaluate.batch} --threads {config.train.threads}", *flip])


def evaluation(name, config=CONFIG):
    """The choices that the protocol of a data set leaves, as evaluate.py takes them, and whether it re-ranks."""
    options = config.evaluate.of(name)
    told = [f"--options {shlex.quote(inline(options))}"] if options is not None else []
    return " ".join([*told, *(["--rerank"] if config.evaluate.rerank else [])])


def study_of(wildcards):
    """The plan of a study; what is wrong with one that cannot be run."""
    if wildcards.study in UNFIT:
        raise WorkflowError(f"configuration: {UNFIT[wildcards.study]}")
    return STUDIES[wildcards.study]


def scores_of(wildcards):
    """The scores of every training of a study."""
    plan = study_of(wildcards)
    return [
        f"{folder}/{layout.SCORES}"
        for variant in plan.variants
        for split in plan.study.splits
        for folder in plan.folders(OUT, variant.name, split)
    ]


def words_of_study(wildcards):
    return captions.words(CONFIG, CONFIG.studies[wildcards.study].set)
