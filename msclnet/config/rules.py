"""What binds several keys of the configuration, each rule a function of the sections it reads.

A rule yields a line for each problem, beginning with a dotted key. Its parameters name the sections; where one of them
is wrong in itself the rule waits. So all that can be found wrong is found at once, before any job.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msclnet.core.errors import ConfigError, nearest
from msclnet.datasets.dataset import LEAST_HELD, STAND_IN, held
from msclnet.datasets.table import SETS
from msclnet.losses.needs import needed, wanted
from msclnet.losses.table import TERMS, terms_of

if TYPE_CHECKING:
    from msclnet.config.by_set import BySet
    from msclnet.config.schema import Data, Evaluate, Method, Model, Run, StandIn, Study, Train
    from msclnet.losses.readings import Readings

NO_FILE = ("none", "imagenet")  # the weights of a backbone that are no file
TIMM = "timm:"  # how a backbone of timm's begins
HALVINGS = {"small": 3, "resnet18": 4, "resnet50": 4}  # of an image's rows on their way to the last feature map
IN_PARTS = {"visible_blocks", "synergy_blocks", "synergy_neck"}  # the outputs for which maps are cut into parts
MASKS = {"visible_masks", "infrared_masks"}  # those that only a network with masks gives


def broken(sections: Mapping[str, Any]) -> list[str]:
    """The problems of those sections that are there."""
    found: list[str] = []
    for rule in RULES:
        names = inspect.signature(rule).parameters
        if names.keys() <= sections.keys():
            found += rule(**{name: sections[name] for name in names})
    return found


def rows(backbone: str, height: int) -> int:
    """The rows of a backbone's last feature map for images of ``height`` pixels."""
    return -(-height // 2 ** HALVINGS[backbone])


def process_counts(pairs: int, least: int) -> list[int]:
    """The numbers of processes that share a batch of ``pairs`` evenly, ``least`` pairs or more each."""
    return [n for n in range(1, pairs + 1) if pairs % n == 0 and pairs // n >= least]


def methods_are_there(run: Run, studies: Mapping[str, Study], methods: Mapping[str, Method]) -> Iterator[str]:
    studied = ((f"studies.{key}.method", study.method) for key, study in studies.items())
    for key, name in (*(("run.methods", name) for name in run.methods), *studied):
        if name not in methods:
            yield f"{key}: {name!r} is not under methods ({', '.join(methods)}); {nearest(name, methods)}"


def methods_have_a_loss(methods: Mapping[str, Method]) -> Iterator[str]:
    for name, method in methods.items():
        if not method.losses:
            yield f"methods.{name}.losses: every weight is 0; give one or more of {', '.join(TERMS.names())} a weight"


def terms_read_what_there_is(objective: Readings, methods: Mapping[str, Method]) -> Iterator[str]:
    for name, method in methods.items():
        try:
            needed(method.losses, objective)
        except ConfigError as error:
            yield f"methods.{name}.{error}"


def sets_have_their_sections(run: Run, studies: Mapping[str, Study], data: Data, evaluate: Evaluate) -> Iterator[str]:
    for name in _used(run, studies):
        named = (f"studies.{key}.set" for key, study in studies.items() if study.set == name)
        where = "run.sets" if name in run.sets else next(named)
        for section, kept in (("data", data), ("evaluate", evaluate)):
            if name in kept.parts() and not kept.has(name):
                yield f"{section}.{name}: missing; {where} names it: {_write(kept, name)}"


def stand_ins_have_their_sections(
    run: Run, studies: Mapping[str, Study], data: Data, stand_in: StandIn
) -> Iterator[str]:
    for name in _drawn(run, studies, data):
        if not stand_in.has(name):
            yield f"stand_in.{name}: missing; data.{name}.root is {STAND_IN}: {_write(stand_in, name)}"
        elif (like := stand_in.of(name).like) and not Path(like).is_dir():
            yield f"stand_in.{name}.like: {like}: no such folder; expected one with the set's own lists, or empty"


def batch_fits_the_stand_in(
    run: Run, studies: Mapping[str, Study], data: Data, stand_in: StandIn, train: Train
) -> Iterator[str]:
    for name in _drawn(run, studies, data):
        if not stand_in.has(name) or stand_in.of(name).like:
            continue
        there = stand_in.of(name).training_identities
        if there is not None and train.identities > there:
            yield (
                f"train.identities: a batch of {train.identities} identities, and stand_in.{name} draws {there} to "
                f"train on; use {there} or fewer, or draw more"
            )


def held_out_identities_are_enough(
    run: Run, studies: Mapping[str, Study], data: Data, stand_in: StandIn, train: Train
) -> Iterator[str]:
    """And leave a batch its identities. What is not known before a set is read is held when its training starts."""
    if not train.validate_every:
        return
    for name in filter(data.has, _used(run, studies)):
        kind, drawn = SETS.get(name), data.of(name).root == STAND_IN
        options = stand_in.of(name) if drawn and stand_in.has(name) and not stand_in.of(name).like else None
        there = options.training_identities if options else None if drawn else kind.training_identities
        listed = options.validation_identities if options else None
        if there is None or (kind.validation_list and listed is None):
            continue
        out = listed if listed is not None else held(there, train.validation_fraction)
        if out < LEAST_HELD and listed is not None:
            yield (
                f"stand_in.{name}: draws {out} into {kind.validation_list}, and train.validate_every holds out those "
                f"identities; draw {LEAST_HELD} or more, or set train.validate_every to 0"
            )
        elif out < LEAST_HELD:
            yield (
                f"train.validation_fraction: {train.validation_fraction:g} of {name}'s {there} training identities is "
                f"{out}; use {LEAST_HELD / there:.3f} or more, or set train.validate_every to 0"
            )
        elif there - out < train.identities <= there:
            yield (
                f"train.identities: a batch of {train.identities} identities, and train.validate_every holds out {out} "
                f"of {name}'s {there} training identities; use {there - out} or fewer, or hold out fewer"
            )


def batch_is_shared_evenly(run: Run, data: Data, train: Train) -> Iterator[str]:
    pairs = train.identities * train.images
    fitting = process_counts(pairs, train.least_share)
    each = (
        "" if train.sync_batchnorm else f", {train.least_share} pairs each at least unless train.sync_batchnorm is true"
    )
    for name in filter(data.has, run.sets):
        key, processes = f"data.{name}.processes", data.of(name).processes
        if processes == "auto" and run.gpus_per_training not in ("auto", 0):
            key, processes = "run.gpus_per_training", max(run.gpus_per_training, run.nodes_per_training)
        if processes != "auto" and processes not in fitting:
            yield (
                f"{key}: {processes} processes cannot share a batch of {pairs} pairs (train.identities x train.images) "
                f"evenly{each}; use {', '.join(map(str, fitting)) or 'a larger batch'}"
            )


def processes_are_spread_evenly(run: Run, data: Data) -> Iterator[str]:
    nodes = run.nodes_per_training
    numbers = {f"data.{name}.processes": data.of(name).processes for name in filter(data.has, run.sets)}
    for key, number in {"run.gpus_per_training": run.gpus_per_training, **numbers}.items():
        if number != "auto" and number % nodes:
            near = [n for n in (number - number % nodes, number - number % nodes + nodes) if n]
            yield (
                f"{key}: {number} cannot be spread evenly over {nodes} nodes (run.nodes_per_training); "
                f"use {' or '.join(map(str, near))}"
            )


def schedule_fits_every_training(run: Run, data: Data, train: Train) -> Iterator[str]:
    for name in filter(data.has, run.sets):
        epochs = data.of(name).epochs
        late = [milestone for milestone in train.milestones if milestone >= epochs]
        if late:
            yield (
                f"train.milestones: {', '.join(map(str, late))} not before the end of data.{name}.epochs, {epochs}; "
                f"use epochs below {epochs}, or leave them out with their train.factors"
            )
        if train.warmup > epochs:
            yield f"train.warmup: {train.warmup} epochs, more than data.{name}.epochs, {epochs}; use {epochs} or fewer"


def padding_is_smaller_than_the_image(data: Data, train: Train) -> Iterator[str]:
    least = min(data.height, data.width)
    if train.padding >= least:
        size = f"{data.height} x {data.width}"
        yield f"train.padding: {train.padding} pixels around images of {size}; use fewer than {least}"


def weights_fit_the_backbone(model: Model) -> Iterator[str]:
    if model.backbone == "small":
        if model.weights != "none":
            yield f"model.weights: {model.weights!r}, and the backbone small has no published weights; use none"
    elif model.weights not in NO_FILE and not Path(model.weights).is_file():
        whose = (
            f"{model.backbone} weights"
            if model.backbone.startswith(TIMM)
            else f"torchvision's {model.backbone} weights"
        )
        yield f"model.weights: {model.weights}: no such file; expected none, imagenet, or a file of {whose}"


def timm_backbone_can_be_built(model: Model, methods: Mapping[str, Method], run: Run) -> Iterator[str]:
    """Without importing timm, which takes seconds: each of its models is a function of its name in its files."""
    if not model.backbone.startswith(TIMM):
        return
    package = find_spec("timm")
    name = model.backbone.removeprefix(TIMM).partition(".")[0]
    if package is None or package.origin is None:
        yield f"model.backbone: {model.backbone} needs timm, which is not installed: pip install -e '.[timm]'"
    else:
        files = (Path(package.origin).parent / "models").glob("*.py")
        known = {found for file in files for found in re.findall(r"@register_model\s+def (\w+)", file.read_text())}
        if name not in known:
            yield f"model.backbone: timm has no model {name!r}; {nearest(name, known)}"
    for key in run.methods:
        if key in methods and methods[key].nonlocal_ != "none":
            yield (
                f"methods.{key}.nonlocal: {methods[key].nonlocal_}, and {model.backbone} has no place for non-local "
                "blocks; set it to none"
            )
    if model.parts_by == "stripes":
        yield f"model.parts_by: stripes are not for {model.backbone}, whose map's rows it alone knows; set it to masks"


def parts_divide_the_last_map(
    run: Run, studies: Mapping[str, Study], data: Data, model: Model, objective: Readings, methods: Mapping[str, Method]
) -> Iterator[str]:
    readers = [
        name
        for name in dict.fromkeys((*run.methods, *(study.method for study in studies.values())))
        if name in methods and _reads_parts(methods[name], objective)
    ]
    if model.backbone not in HALVINGS:  # ``timm_backbone_can_be_built`` has its word on it
        return
    there = rows(model.backbone, data.height)
    if model.parts_by == "stripes" and readers and there % model.parts:
        fitting = [str(n) for n in range(1, there + 1) if there % n == 0]
        stride = 2 ** HALVINGS[model.backbone]
        nearby = sorted({max(1, there // model.parts) * model.parts, -(-there // model.parts) * model.parts})
        yield (
            f"model.parts: {model.parts} parts do not divide the {there} rows of {model.backbone}'s last map at "
            f"data.height {data.height} (read by {', '.join(readers)}); use {', '.join(fitting)} parts, a height of "
            f"{' or '.join(str(n * stride) for n in nearby)}, or model.parts_by: masks"
        )


def masks_are_there(model: Model, objective: Readings, methods: Mapping[str, Method]) -> Iterator[str]:
    for name, method in methods.items() if model.parts_by == "stripes" else ():
        for term in wanted(method.losses):
            if MASKS & needed({term.name: 1.0}, objective):
                yield (
                    f"methods.{name}.losses.{term.name}: reads the masks of parts, and model.parts_by is stripes; set "
                    "it to masks, or the weight to 0"
                )


def studies_have_their_splits(studies: Mapping[str, Study]) -> Iterator[str]:
    for name, study in studies.items():
        possible = SETS.get(study.set).every_split  # also those that are not run
        if wrong := [str(split) for split in study.splits if split not in possible]:
            yield (
                f"studies.{name}.splits: {', '.join(wrong)}, expected some of {study.set}'s: "
                f"{', '.join(map(str, possible))}"
            )


def studies_vary_their_own_method(studies: Mapping[str, Study]) -> Iterator[str]:
    for name, study in studies.items():
        for key in study.vary or ():
            section, _, rest = key.partition(".")
            if section == "methods" and rest.split(".")[0] != study.method:
                yield f"studies.{name}.vary.{key}: of another method than studies.{name}.method, {study.method}"


def studies_have_their_terms(studies: Mapping[str, Study], methods: Mapping[str, Method]) -> Iterator[str]:
    for name, study in studies.items():
        if study.method not in methods:
            continue  # ``methods_are_there`` says so
        lacking = {term for row in study.terms or () for term in terms_of(row)} - set(methods[study.method].losses)
        if lacking:
            yield (
                f"studies.{name}.terms: {', '.join(sorted(lacking))}: no weight in methods.{study.method}.losses; "
                "give one, from which the variants take it"
            )


def sets_agree_with_themselves(run: Run, data: Data, evaluate: Evaluate) -> Iterator[str]:
    for name in run.sets:
        if data.has(name) and (name not in evaluate.parts() or evaluate.has(name)):
            yield from SETS.get(name).disagreements(data, evaluate.of(name))


def _used(run: Run, studies: Mapping[str, Study]) -> list[str]:
    """The data sets whose sections are read."""
    return list(dict.fromkeys((*run.sets, *(study.set for study in studies.values()))))


def _drawn(run: Run, studies: Mapping[str, Study], data: Data) -> list[str]:
    """Those of them whose images are drawn."""
    return [name for name in _used(run, studies) if data.has(name) and data.of(name).root == STAND_IN]


def _write(section: BySet, name: str) -> str:
    return f"write a section with {', '.join(section.parts()[name].key_names())}"


def _reads_parts(method: Method, objective: Readings) -> bool:
    try:
        return bool(needed(method.losses, objective) & IN_PARTS)
    except ConfigError:
        return False  # ``terms_read_what_there_is`` says so


RULES: tuple[Callable[..., Iterator[str]], ...] = (
    methods_are_there,
    methods_have_a_loss,
    terms_read_what_there_is,
    sets_have_their_sections,
    stand_ins_have_their_sections,
    studies_have_their_splits,
    studies_vary_their_own_method,
    studies_have_their_terms,
    sets_agree_with_themselves,
    weights_fit_the_backbone,
    timm_backbone_can_be_built,
    parts_divide_the_last_map,
    masks_are_there,
    batch_fits_the_stand_in,
    held_out_identities_are_enough,
    batch_is_shared_evenly,
    processes_are_spread_evenly,
    schedule_fits_every_training,
    padding_is_smaller_than_the_image,
)
