"""The one definition of the configuration: frozen, typed and strict.

``config/config.yaml`` holds the defaults, a user's file is laid over it, and ``config/README.md`` explains every
key. The classes below say which keys exist and which values they take; there are no defaults in code. An unknown
key names the nearest valid ones. Imports nothing beyond PyYAML, so that a Snakefile can read it where neither torch
nor MLflow is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msclnet.core.errors import ConfigError

STAND_IN = "stand-in"
UNTRAINED = "untrained"  # reserved method name: the last method's network before its first step
SetName = Literal["regdb", "sysu", "llcm"]
TITLE: dict[SetName, str] = {"regdb": "RegDB", "sysu": "SYSU-MM01", "llcm": "LLCM"}


@dataclass(frozen=True)
class Run:
    """What is run, data sets and methods in the order of the tables' rows, and on what."""

    sets: tuple[SetName, ...]
    methods: tuple[str, ...]
    gpus_per_training: int | Literal["auto"]  # "auto": 1 where there is a GPU
    nodes_per_training: int


@dataclass(frozen=True)
class RegDB:
    root: str  # a folder, or "stand-in"
    splits: tuple[int, ...]  # of 1..10; a split is a training of its own
    epochs: int
    processes: int | Literal["auto"]  # DDP processes a training; "auto": one per GPU of the training, else one per node


@dataclass(frozen=True)
class SYSU:
    root: str
    epochs: int
    processes: int | Literal["auto"]


@dataclass(frozen=True)
class LLCM:
    root: str
    epochs: int
    processes: int | Literal["auto"]


@dataclass(frozen=True)
class Data:
    """Where the images lie and the size they are resized to, in pixels."""

    height: int
    width: int
    on_bad_image: Literal["stop", "skip"]  # what packing does with an image that cannot be read
    regdb: RegDB
    sysu: SYSU
    llcm: LLCM


@dataclass(frozen=True)
class RegDBStandIn:
    like: str  # a folder with the real set's idx/: drawn as that says; "" draws what follows
    identities: int  # half of them train, half test, in each of the ten splits
    images: int  # per identity and modality


@dataclass(frozen=True)
class SYSUStandIn:
    like: str  # a folder with the real set's exp/
    train: int  # identities
    val: int
    test: int
    images: int  # the most per identity and camera


@dataclass(frozen=True)
class LLCMStandIn:
    like: str  # a folder with the real set's idx/
    train: int  # identities
    test: int
    images: int  # the most per identity and camera


@dataclass(frozen=True)
class StandIn:
    """The drawn people that stand in for the real sets."""

    seed: int
    regdb: RegDBStandIn
    sysu: SYSUStandIn
    llcm: LLCMStandIn


@dataclass(frozen=True)
class Model:
    """The network, shared by all methods."""

    backbone: Literal["small", "resnet18", "resnet50"]
    weights: str  # "none", "imagenet", or a file of torchvision weights
    gem_p: float
    parts: int  # n of Eq. 2
    hidden: int  # width of the Mogrifier LSTM's states
    rounds: int  # Q of the Mogrifier; 0 is a plain LSTM
    rank: int  # of the Mogrifier's factored matrices; 0 is full rank
    heads: Literal["baseline", "shared", "separate"]  # classifiers of Eq. 4: the baseline's, one more, one a modality


@dataclass(frozen=True)
class Objective:
    """The readings of the paper's equations, shared by all methods; each default is argued in docs/decisions.md."""

    margin: float  # of the batch-hard triplet
    divergence_ceiling: float | None  # of Eq. 3, in nats; null is the printed, unbounded form
    local_form: Literal["decreasing", "printed"]  # of Eq. 6
    centre_space: Literal["neck", "normalised", "raw"]  # where Eq. 7 and 10-12 measure distances
    cascade_on: tuple[Literal["visible", "infrared", "synergy"], ...]  # Eq. 16


@dataclass(frozen=True)
class Losses:
    """The weight of each term of the objective; 0 leaves the term, and the modules only it needs, out."""

    identity: float
    triplet: float
    wrt: float
    div: float
    t: float
    local: float
    global_: float
    sub: float
    intra: float
    inter: float


@dataclass(frozen=True)
class Method:
    """One row of a table: a baseline and the terms added to it."""

    pooling: Literal["average", "gem"]
    nonlocal_: Literal["none", "one", "half"]  # inner width: 1 channel (public AGW code), or C/2 (as intended)
    erasing: float  # probability of random erasing
    losses: Losses


@dataclass(frozen=True)
class Train:
    """The recipe of the paper, and of AGW where the paper says no more."""

    identities: int  # P of the global batch
    images: int  # K per identity and modality
    threads: int  # CPU threads per process
    rate: float  # learning rate of the new layers
    backbone_factor: float  # the backbone's rate is this fraction of it
    warmup: int  # epochs of linear warm-up
    milestones: tuple[int, ...]  # epochs after which the rate changes ...
    factors: tuple[float, ...]  # ... to these fractions of it
    momentum: float
    nesterov: bool
    weight_decay: float
    padding: int  # pixels of the zero-padded random crop
    flip: float  # probability
    erasing_area: tuple[float, float]  # smallest and largest fraction erased
    precision: Literal["float32", "bfloat16", "float16"]
    tf32: bool  # float32 products of a GPU rounded to TF32
    compile: bool  # torch.compile
    sync_batchnorm: bool
    log_every: int  # steps between two logged ones


@dataclass(frozen=True)
class Survival:
    """What a training can lose to a kill, a dead process or a hung one; no part of its result."""

    checkpoint_every: float  # seconds between two checkpoints; 0: after every step
    restarts: int  # of a training in which a process died, by torchrun
    timeout: float  # seconds a process waits for the others before all end


@dataclass(frozen=True)
class SYSUEvaluation:
    modes: tuple[Literal["all", "indoor"], ...]
    shots: tuple[Literal[1, 10], ...]
    protocol: Literal["official", "community"]  # galleries of exp/rand_perm_cam.mat, or drawn as by AGW's public code
    draws: int


@dataclass(frozen=True)
class LLCMEvaluation:
    draws: int


@dataclass(frozen=True)
class Evaluate:
    batch: int  # images embedded at once
    flip: bool  # features averaged over an image and its mirror image
    rerank: bool  # k-reciprocal re-ranking
    sysu: SYSUEvaluation
    llcm: LLCMEvaluation


@dataclass(frozen=True)
class Studies:
    """Table 1 and Figure 6 of the paper: a method with terms left out, and with one weight varied."""

    set: SetName
    split: int
    method: str  # what is studied
    epochs: int  # length of each of their trainings
    seeds: tuple[int, ...]  # each variant is trained once with each
    weights: tuple[float, ...]  # of each lambda, for Figure 6


@dataclass(frozen=True)
class Tracking:
    """MLflow. ``uri: ""`` is an SQLite file in the working directory."""

    uri: str
    live_every: float  # seconds between two uploads of a running training; 0: only when it has ended


@dataclass(frozen=True)
class Figures:
    format: Literal["svg", "png"]
    ranks: int  # the CMC curve's last rank
    identities: int  # test identities of the t-SNE, a colour each
    queries: int  # ranked lists shown of the best, the worst and random queries, each


@dataclass(frozen=True)
class Config:
    seed: int
    run: Run
    data: Data
    stand_in: StandIn
    model: Model
    objective: Objective
    methods: dict[str, Method]
    train: Train
    survival: Survival
    evaluate: Evaluate
    studies: Studies
    tracking: Tracking
    figures: Figures

    def __post_init__(self) -> None:
        for name in self.run.methods:
            if name not in self.methods:
                raise ConfigError(f"run.methods: {name!r} is not under methods ({', '.join(self.methods)})")
        if UNTRAINED in self.methods:
            raise ConfigError(f"methods.{UNTRAINED}: the name is reserved for the network before its first step")
        if not self.run.methods or not self.run.sets:
            raise ConfigError("run.sets and run.methods must each name at least one")
        for name in self.methods:
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ConfigError(f"methods.{name}: use letters, digits, '-' and '_' (the name becomes a folder)")
        bad = [split for split in self.data.regdb.splits if not 1 <= split <= 10]
        if bad or not self.data.regdb.splits:
            raise ConfigError(f"data.regdb.splits: {list(self.data.regdb.splits)}; name some of 1..10")
        if self.studies.method not in self.methods:
            raise ConfigError(
                f"studies.method: {self.studies.method!r} is not under methods ({', '.join(self.methods)})"
            )
        possible = range(1, 11) if self.studies.set == "regdb" else (1,)
        if self.studies.split not in possible:
            raise ConfigError(f"studies.split: {self.studies.split}; {self.studies.set} has {list(possible)}")
        if not self.studies.seeds or len(set(self.studies.seeds)) < len(self.studies.seeds):
            raise ConfigError(f"studies.seeds: {list(self.studies.seeds)}; name one or more, each once")
        self._check_nodes()
        if len(self.train.milestones) != len(self.train.factors):
            raise ConfigError("train.milestones and train.factors must have the same number of entries")

    def _check_nodes(self) -> None:
        nodes = self.run.nodes_per_training
        if nodes < 1:
            raise ConfigError(f"run.nodes_per_training: {nodes}; a training needs a node")
        spread = {f"data.{name}.processes": getattr(self.data, name).processes for name in self.run.sets}
        for key, number in {"run.gpus_per_training": self.run.gpus_per_training, **spread}.items():
            if number == "auto":
                continue
            if number < (key != "run.gpus_per_training"):
                raise ConfigError(f"{key}: {number}; use auto or a number from 1 (GPUs: from 0, for none)")
            if number % nodes:
                near = [n for n in (number - number % nodes, number - number % nodes + nodes) if n]
                raise ConfigError(
                    f"{key}: {number} cannot be spread evenly over {nodes} nodes (run.nodes_per_training); "
                    f"use {' or '.join(map(str, near))}"
                )
