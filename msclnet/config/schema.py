"""The one definition of the configuration: which keys there are, their types and ranges, and what each means.

``config/config.yaml`` holds the defaults, and a user's file is laid over it. There are no defaults in code but those of
keys that a file may leave out. config/README.md and config/schema.json are written from the classes below
(tools/configuration.py). What binds several keys stands in rules.py. Planning imports this module, so nothing here may
import torch or MLflow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from msclnet.config import problems, rules
from msclnet.config.by_set import BySet
from msclnet.config.merging import resolve
from msclnet.core.address import masked
from msclnet.core.errors import nearest
from msclnet.core.registry import load_plugins
from msclnet.core.section import Home, Section, Words, each_once, options
from msclnet.datasets.dataset import DataSet, SetOptions, StandInOptions
from msclnet.datasets.table import SETS
from msclnet.losses.readings import Readings
from msclnet.losses.table import MODULES, TERMS

UNTRAINED = "untrained"  # reserved method name: the last method's network before its first step
BEST, BY_TEST = "best", "chosen-by-test"  # reserved, too: aliases of a registered model, by what it was chosen by
COLOURS = 7  # that a figure can tell apart
SEEDS = 2**32 - 1  # the largest that NumPy and torch both take
VARIED = ("data", "stand_in", "model", "objective", "methods", "train", "evaluate")  # sections that decide a score
VARY = "a mapping of keys of this configuration, dotted, to lists of values"
ADDRESS = re.compile(r"(https?|postgresql(\+\w+)?|mysql(\+\w+)?|mssql(\+\w+)?)://[^/\s]+\S*|sqlite:///\S.*")


def _set(name: str) -> str:
    if name not in SETS.names():
        raise ValueError(f"{name!r} is no data set ({', '.join(SETS.names())}); {nearest(name, SETS.names())}")
    return name


def _term(name: str) -> str:
    if name not in TERMS.names():
        raise ValueError(f"unknown key; {nearest(name, TERMS.names())}")
    return name


def _wanted(losses: dict[str, float]) -> dict[str, float]:
    """One form for one meaning: a weight of 0 is none, and the order is the table's."""
    return {name: losses[name] for name in TERMS.names() if losses.get(name)}


def _experiment(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} becomes a folder; use letters, digits, '-', '_' and '.', which is not the first")
    return name


def _method_name(name: str) -> str:
    if name == UNTRAINED:
        raise ValueError("the name is reserved for the network before its first step; choose another")
    if name in (BEST, BY_TEST):
        raise ValueError("the name is reserved for the registered model that is chosen among all; choose another")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError("use letters, digits, '-' and '_' (the name becomes a folder)")
    return name


def _address(uri: str) -> str:
    if uri and not ADDRESS.fullmatch(uri):
        raise ValueError(
            f"expected http://<host>:<port>, postgresql://<user>@<host>/<database>, sqlite:///<file>, or empty for the "
            f"file mlflow.db in the working directory, found {problems.show(masked(uri))}"
        )
    return uri


def _study_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError("use letters, digits and '_', a letter first (the name becomes a file)")
    if taken := [known for known in SETS.names() if name == known or name.startswith(f"{known}_")]:
        raise ValueError(f"{taken[0]}_... are that data set's own tables and figures; choose another name")
    return name


def _part(name: str) -> str:
    known = (*TERMS.names(), *MODULES)
    if name not in known:
        raise ValueError(f"{name!r} is no term of a loss; {nearest(name, known)}")
    return name


def _two_or_more(rows: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    sets = [frozenset(row) for row in rows]
    if twice := [row for place, row in enumerate(rows) if sets[place] in sets[:place]]:
        raise ValueError(f"lists {problems.show(twice[0])} twice; list each once")
    if len(rows) < 2:
        raise ValueError(f"found {len(rows)} variant, expected two or more: the first is what others are held against")
    return rows


def _something(keys: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    if not keys:
        raise ValueError("found no key; expected one or more, each with a list of values")
    return keys


def _key(key: str) -> str:
    """A dotted key of the configuration that decides a score."""
    if key.split(".")[0] not in VARIED:
        raise ValueError(f"{key} decides no score of a training; vary a key of {', '.join(VARIED)}")
    hint: Any = Config
    way = ""
    for part in key.split("."):
        hint = next((option for option in options(hint) if option is not type(None)), Any)
        if isinstance(hint, type) and issubclass(hint, Section):
            if part not in hint.key_names():
                raise ValueError(
                    f"{key}: {way or 'the configuration'} has no key {part!r}; {nearest(part, hint.key_names())}"
                )
            hint, _ = hint.declared(part)
        elif get_origin(hint) is dict:
            hint = get_args(hint)[1]
        else:
            raise ValueError(f"{key}: {way} is a value and has no keys below it; write {way}")
        way = problems.join(way, part)
    return key


SetName = Annotated[str, AfterValidator(_set), Words("a data set's name")]
MethodName = Annotated[str, AfterValidator(_method_name)]
Name = Annotated[str, Words("the name of a method")]
Probability = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=SEEDS)]
Weight = Annotated[float, Field(ge=0)]
Losses = Annotated[
    dict[Annotated[str, AfterValidator(_term)], Weight],
    AfterValidator(_wanted),
    Words("a mapping of terms to numbers of at least 0"),
]
StudyName = Annotated[str, AfterValidator(_study_name)]
Row = Annotated[tuple[Annotated[str, AfterValidator(_part)], ...], AfterValidator(each_once)]
Values = Annotated[tuple[Any, ...], Field(min_length=1), AfterValidator(each_once)]
Auto = Literal["auto"]


class Run(Section):
    """What is run."""

    name: Annotated[str, AfterValidator(_experiment), Words("a folder's name")] = Field(
        "default",
        description="the experiment. `default` has its results in `results/`, another name in "
        "`results/experiments/<name>/`; two experiments share packs and trainings that are the same, and overwrite "
        "nothing of each other",
    )
    sets: Annotated[tuple[SetName, ...], AfterValidator(each_once)] = Field(
        min_length=1, description="data sets, in the order of the report"
    )
    methods: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        min_length=1,
        description="those of `methods` below to train, in the order of the tables' rows; `untrained` is always "
        "added as the floor",
    )
    gpus_per_training: Annotated[int, Field(ge=0)] | Auto = Field(
        description="GPUs of a training, on all its nodes together: each training has its own, and as many run at "
        "once as the machine has GPUs for. `auto`: one where there is a GPU; 0: none is used. On a cluster `auto` "
        "is 0, so state the number"
    )
    trainings_per_gpu: int = Field(
        ge=1,
        description="how many trainings of one GPU may be on it at once, other jobs of one GPU counted like them. A "
        "small training leaves most of a large GPU idle; its memory must hold them all. Not read on a cluster",
    )
    nodes_per_training: int = Field(
        ge=1, description="machines a training runs on; above 1 with `--profile profiles/slurm` only"
    )


def _black_first(values: tuple[float, float]) -> tuple[float, float]:
    if not values[0] < values[1]:
        raise ValueError(f"what is black, {values[0]:g}, must be less than what is white, {values[1]:g}")
    return values


class Data(BySet):
    """The images."""

    height: int = Field(
        ge=16,
        le=2048,
        description="pixels every image is resized to, once. The feature map's rows (`height` / 8 for `small`, / 16 "
        "for a ResNet, rounded up) must be a multiple of `model.parts` where a loss reads stripes",
    )
    width: int = Field(ge=16, le=2048, description="the same")
    deep_range: Annotated[tuple[float, float], AfterValidator(_black_first)] | None = Field(
        default=None,
        description="what is black and what is white in grey images of more than 8 bits: 16 bits, counts of 12 or 14, "
        "kelvin, fractions. `[0, 16383]`, say; the pack records it. `null`: such an image is refused. Images of 8 bits "
        "stay as they are",
    )
    on_bad_image: Literal["stop", "skip"] = Field(
        description="packing meets an image that cannot be read: `stop` with its name, or `skip` it and list it in the "
        "pack's `pack.json`"
    )

    @classmethod
    def part(cls, kind: DataSet) -> type[Section]:
        return kind.Options

    def of(self, name: str) -> SetOptions:
        """The part of the data set ``name``; raises ConfigError where there is none."""
        return self._of(name)


class StandIn(BySet):
    """The drawn people; a set's part is read only where its `root` is `stand-in`."""

    seed: Seed = Field(description="of the drawing")

    @classmethod
    def part(cls, kind: DataSet) -> type[Section]:
        return kind.StandIn

    def of(self, name: str) -> StandInOptions:
        """The part of the data set ``name``; raises ConfigError where there is none."""
        return self._of(name)


class Model(Section):
    """The network, shared by all methods."""

    backbone: (
        Literal["small", "resnet18", "resnet50"]
        | Annotated[str, Field(pattern=r"^timm:[A-Za-z0-9_.]+$"), Words("'timm:NAME'")]
    ) = Field(
        description="`small` is for CPUs and small images; `timm:NAME` a model of timm's, with the extra `timm` "
        "([how](../docs/how-to/backbone.md))"
    )
    weights: Home = Field(
        min_length=1,
        description="`none`, `imagenet` (torchvision's IMAGENET1K_V1, or timm's default, downloaded once), or a file "
        "of torchvision's or timm's weights. `small` has `none`",
    )
    gem_p: float = Field(ge=1, description="exponent of GeM pooling; 1 averages")
    parts: int = Field(ge=1, description="n, the parts of Eq. 2 and 6")
    parts_by: Literal["masks", "stripes"] = Field(
        description="`masks`, learned as MPANet's, or horizontal `stripes` of equal height"
    )
    encoder: Literal["columns", "crossed"] = Field(
        description="the synergistic encoder: `columns` as figure 3 draws it, one a modality and a chained one between "
        "them; or each modality's state gates the other's parts, `crossed`"
    )
    hidden: int = Field(ge=1, description="width of the synergistic encoder's states")
    rounds: int = Field(ge=0, description="Q, the Mogrifier's rounds; 0 is a plain LSTM")
    rank: int = Field(ge=0, description="of the Mogrifier's factored matrices; 0 is full rank")
    heads: Literal["baseline", "shared", "separate"] = Field(
        description="classifiers of Eq. 4: the `baseline`'s, one more `shared` by both modalities, or `separate` ones"
    )


class Method(Section):
    """One row of a table, by name: a baseline and the terms added to it."""

    pooling: Literal["average", "gem"] = Field(description="`average`, or `gem` with `model.gem_p`")
    nonlocal_: Literal["none", "one", "half"] = Field(
        alias="nonlocal",
        description="non-local blocks: `none`; `one`, an inner width of 1 channel, as AGW's public code computes it; "
        "`half`, C/2, as intended",
    )
    erasing: Probability = Field(description="probability of random erasing")
    channels: Literal["none", "random", "joint"] = Field(
        "none",
        description="channel augmentation of visible images (CAJ). `random`: one channel in the place of all three (a "
        "quarter of the images each), grey or the image itself (an eighth each). `joint`: the image itself, and a "
        "second stream of the same images with one of their channels, which `identity` and the triplet losses read "
        "too, as in the methods `agw_ca` and `msclnet_ca`",
    )
    losses: Losses = Field(
        description="the weight of each term that it wants; 0, or none, leaves a term out, with the modules only it "
        "needs"
    )

    added: ClassVar[Mapping[str, Any]] = {"channels": "none"}


def _ascending(milestones: tuple[int, ...]) -> tuple[int, ...]:
    if any(a >= b for a, b in pairwise(milestones)):
        raise ValueError(f"expected ascending epochs, each once, found {problems.show(milestones)}")
    return milestones


def _smaller_first(area: tuple[float, float]) -> tuple[float, float]:
    if area[0] > area[1]:
        raise ValueError(f"expected the smaller fraction first, found {problems.show(area)}")
    return area


Fraction = Annotated[float, Field(gt=0, le=1)]


class Train(Section):
    """The recipe: the paper's, and AGW's where the paper says no more."""

    added: ClassVar[Mapping[str, Any]] = {"deterministic": False, "capture": False}

    identities: int = Field(
        ge=1,
        description="P: the global batch is P identities x (K visible + K infrared), shared by the processes of a "
        "training",
    )
    images: int = Field(ge=1, description="K, per identity and modality")
    threads: int = Field(
        ge=1, description="CPU threads a process. Sums keep their order, so a result does not depend on `--cores`"
    )
    rate: float = Field(gt=0, description="learning rate of the BN neck and the classifiers")
    backbone_factor: float = Field(
        ge=0, description="all other layers, the backbone's and those of MS and MC, learn at this fraction of it"
    )
    warmup: int = Field(ge=0, description="epochs in which the rate rises linearly; at most a training's")
    milestones: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(_ascending)] = Field(
        description="after each of these epochs the rate changes; they ascend, and lie inside every training"
    )
    factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        description="to these fractions of `rate`, one a milestone"
    )
    momentum: float = Field(ge=0, lt=1, description="of SGD")
    nesterov: bool = Field(description="of SGD; needs a momentum above 0")
    weight_decay: float = Field(ge=0, description="of SGD")
    padding: int = Field(ge=0, description="pixels of zero padding before the random crop; fewer than the image has")
    flip: Probability = Field(description="probability of a horizontal flip")
    erasing_area: Annotated[tuple[Fraction, Fraction], AfterValidator(_smaller_first)] = Field(
        description="smallest and largest fraction of the image erased; a box that does not fit the image is drawn "
        "anew, up to 100 times"
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        description="`float32`, or automatic mixed precision in `bfloat16` or, for GPUs without it, `float16` (with "
        "gradient scaling; a step whose gradients overflow is skipped, and `scale` and `skipped` are recorded). "
        "Pooling, the synergistic encoder, the gather and the losses stay in float32"
    )
    tf32: bool = Field(
        description="whether a GPU may round the factors of float32 convolutions to TF32 (10 bits of mantissa); those "
        "of matrix products, the losses' distances among them, it never may"
    )
    deterministic: bool = Field(
        False,
        description="whether a GPU must give the same bits twice, so that a resumed training does. It is slower: no "
        "timing of convolutions, no sums in any order. On the CPU they are the same bits anyway",
    )
    compile: bool = Field(
        description="`torch.compile` of the network, on one process of the losses, too: a minute or more at the start, "
        "a faster step after it; needs a C++ compiler and Python's headers, and sums in another order"
    )
    capture: bool = Field(
        False,
        description="whether network and losses of a training on one GPU, forward and backward, are captured as CUDA "
        "graphs, which the host starts at once in the place of each kernel; needs `compile`. What cannot be captured "
        "ends the training with torch's reason. Several processes, remembered centres and the CPU have none",
    )
    sync_batchnorm: bool = Field(
        description="batch normalisation over all processes; else each normalises its own share, of two pairs at least"
    )
    log_every: int = Field(
        ge=1, description="steps between two lines of metrics.jsonl; the losses are read, and checked, then"
    )
    gradients_every: int = Field(
        ge=0,
        description="epochs between two looks at each term's gradient: its norm, and its cosine with the identity "
        "loss's; a look costs a step a term. 0: none",
    )
    validate_every: int = Field(
        ge=0,
        description="epochs between two scores (Rank-1, mAP, mINP) of training identities that are held out, also "
        "after the last epoch: see docs/how-to/validating.md. 0: none are held out, all train",
    )
    validation_fraction: float = Field(
        gt=0,
        lt=1,
        description="the share of the training identities that is held out, drawn by seed and split. A set that has "
        "its own list of them holds out that list instead. Read with `validate_every` only",
    )
    keep: Literal["last", "best_validation"] = Field(
        description="the weights that a training leaves: of the `last` epoch, or of the epoch whose validation had the "
        "highest mAP (of equal ones the earliest). The test images have no part in it"
    )

    @field_validator("factors")
    @classmethod
    def _one_a_milestone(cls, factors: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        milestones = info.data.get("milestones", factors)
        if len(factors) != len(milestones):
            raise ValueError(f"found {len(factors)}, expected one for each of the {len(milestones)} train.milestones")
        return factors

    @field_validator("nesterov")
    @classmethod
    def _with_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        if nesterov and info.data.get("momentum") == 0:
            raise ValueError("true needs a train.momentum above 0, found 0; set one of them")
        return nesterov

    @field_validator("capture")
    @classmethod
    def _compiled(cls, capture: bool, info: ValidationInfo) -> bool:
        if capture and info.data.get("compile") is False:
            raise ValueError("true needs train.compile: true, found false; set one of them")
        return capture

    @field_validator("keep")
    @classmethod
    def _with_validation(cls, keep: str, info: ValidationInfo) -> str:
        if keep == "best_validation" and info.data.get("validate_every") == 0:
            raise ValueError("best_validation needs a train.validate_every above 0, found 0; set one of them")
        return keep

    @property
    def least_share(self) -> int:
        """Pairs of a batch that a process needs: one row of a modality has no variance to be normalised by."""
        return 1 if self.sync_batchnorm else 2


class Survival(Section):
    """What a training can lose to a kill, a dead process or a hung one. No part of its result: a change retrains
    nothing."""

    checkpoint_every: float = Field(
        ge=0,
        description="seconds between two checkpoints; 0: after every step. One is also written at SIGTERM and at "
        "the end",
    )
    restarts: int = Field(
        ge=0,
        description="how often torchrun starts a training again after one of its processes died; it goes on from its "
        "checkpoint",
    )
    timeout: float = Field(
        gt=0,
        description="seconds a process waits for the others before all are ended, and takes for a step before its "
        "launcher ends it (ten more); more than the reading of the whole pack takes",
    )


class Evaluate(BySet):
    """Scoring."""

    batch: int = Field(ge=1, description="images embedded at once")
    flip: bool = Field(description="features averaged over each image and its mirror image; a column of every table")
    rerank: bool = Field(
        description="k-reciprocal re-ranking (Zhong et al., CVPR 2017); a column of every table. It uses the other "
        "queries, so no such number is comparable with a plain one"
    )

    @classmethod
    def part(cls, kind: DataSet) -> type[Section] | None:
        return kind.Evaluation

    def of(self, name: str) -> Section | None:
        """The part of the data set ``name``, or None where the set leaves nothing to choose.

        Raises ConfigError for a set that leaves something, and has no part here.
        """
        return self._of(name) if SETS.get(name).Evaluation else None


class Study(Section):
    """Studies, by name, `ablation` and `sensitivity` being the paper's: a method in several variants, each trained once
    with every seed on every split.

    `results/<study>.csv` has each variant's mean, spread and paired difference to the reference.
    """

    set: SetName = Field(description="the data set on which the variants are trained and scored")
    splits: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(each_once)] = Field(
        min_length=1, description="and its splits; `[1]` where a set has no other"
    )
    method: Name = Field(description="the method whose terms are left out, or whose configuration is varied")
    epochs: int = Field(
        ge=1, description="length of each training: with the number of variants, seeds and splits, the budget"
    )
    seeds: Annotated[tuple[Seed, ...], AfterValidator(each_once)] = Field(
        min_length=1, description="each variant is trained once with each; mean and spread are over seeds and splits"
    )
    terms: Annotated[tuple[Row, ...], AfterValidator(_two_or_more), Words("a list of lists of terms")] | None = Field(
        None,
        description="variants by their terms, the first being the reference. Each adds those it lists (or `MS`, `MC`, "
        "`CA`, a module's) to what no variant lists; `separation` goes with the terms of MC and CA. Weights are the "
        "method's",
    )
    vary: (
        Annotated[dict[Annotated[str, AfterValidator(_key)], Values], AfterValidator(_something), Words(VARY)] | None
    ) = Field(
        None,
        description="variants by keys of this configuration, `train.rate: [0.01, 0.1]`. Each value of each key stands "
        "alone, all else as configured; the reference is the method as configured. `terms` or `vary`, one of the two",
    )
    together: bool = Field(False, description="of `vary`: every combination of the values, instead of each alone")
    beside: Literal["table-1", "figure-6"] | None = Field(
        None,
        description="what of the paper stands beside it: the numbers of `table-1` beside `terms`, or the choices of "
        "Eq. 17 that `figure-6` was drawn for beside `vary`",
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if (self.terms is None) == (self.vary is None):
            raise ValueError(f"found {'both' if self.terms else 'neither'} of terms and vary; write one of the two")
        if self.together and self.vary is None:
            raise ValueError("together: true needs vary; write vary, or leave it out")
        if self.beside and (self.beside == "table-1") != (self.terms is not None):
            raise ValueError(
                f"beside: {self.beside} stands beside {'terms' if self.beside == 'table-1' else 'vary'}; leave it out"
            )
        return self


class Tracking(Section):
    """MLflow."""

    uri: Annotated[str, AfterValidator(_address), Words("an address, or empty")] = Field(
        description="of the tracking server, `http://...`, or of its database, `postgresql://...` (with "
        "`psycopg2-binary` installed); empty is the file `mlflow.db` in the working directory. A password in it is not "
        "shown anywhere; an `@` in it is written `%40`"
    )
    live_every: float = Field(
        ge=0, description="seconds between two uploads of a running training; 0: only when it has ended"
    )


class Figures(Section):
    """Plots."""

    format: Literal["svg", "png"] = Field(description="of the report's. Each figure is written in both")
    ranks: int = Field(ge=1, description="the last rank of the CMC curves")
    identities: int = Field(ge=1, le=COLOURS, description="test identities in the t-SNE: a colour for each")
    queries: int = Field(
        ge=1,
        description="ranked lists of the best, the worst and random queries, so many of each; the activation maps "
        "show twice as many identities",
    )


class Config(Section):
    """The whole configuration."""

    seed: Seed = Field(
        description="of everything random: initial weights, batches, augmentation. One number, one result"
    )
    plugins: tuple[Home, ...] = Field(
        (),
        description="files of Python, from the working directory, that add data sets or losses: see "
        "docs/how-to/data-set.md and docs/how-to/loss.md",
    )
    run: Run
    data: Data
    stand_in: StandIn
    model: Model
    objective: Readings
    methods: dict[MethodName, Method] = Field(min_length=1)
    train: Train
    survival: Survival
    evaluate: Evaluate
    studies: dict[StudyName, Study]
    tracking: Tracking
    figures: Figures

    @model_validator(mode="before")
    @classmethod
    def _plugins_first(cls, values: Any) -> Any:
        """What a plugin adds is known when the rest is read."""
        named = values.get("plugins", ()) if isinstance(values, Mapping) else ()
        if isinstance(named, list | tuple) and all(isinstance(path, str) for path in named):
            load_plugins(map(os.path.expanduser, named))
        return values

    @field_validator("methods", mode="wrap")
    @classmethod
    def _resolved(cls, values: Any, handler: Any) -> Any:
        return resolve(values, handler)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if found := rules.broken(dict(self)):
            raise problems.summed(found)
        return self
