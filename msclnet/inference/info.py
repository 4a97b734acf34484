"""What a checkpoint is: for the command ``msclnet info`` and for model cards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msclnet.config import STAND_IN
from msclnet.core import yaml_text
from msclnet.datasets.table import SETS
from msclnet.model.files import Saved, open_model, read_state
from msclnet.results.captions import spread
from msclnet.results.layout import MODEL, SCORES, WORK, Place
from msclnet.results.scores import Row, compared, read_scores, set_of
from msclnet.results.tables import readable, summary

SHOWN = ("rank1", "rank1_std", "rank10", "mAP", "mAP_std", "mINP", "mINP_std")


def info(path: Path) -> str:
    """The checkpoint in words, its scores as a table and its configuration as YAML.

    Args:
        path: a ``model.pt``, or a ``work/checkpoint-N.pt`` of a training that has not ended.

    Returns:
        The text.

    Raises:
        DataError: another file.
    """
    if "optimiser" in (state := read_state(path)):
        job = {key: value for key, value in state["origin"].items() if key != "pack"}
        return (
            f"{path}: an unfinished training, epoch {state['epoch']} of {job['epochs']}, step {state['step']}\n"
            f"{trained_on(job)}\n{_what_next(path)}\n\n"
            f"{yaml_text.write(job)}"
        )
    saved = open_model(path)
    measured = scores(path, saved)
    text = f"no scores: there is no {path.with_name(SCORES)}"
    if measured:
        shown = [{name: row[name] for name in (*measured.setting, *SHOWN)} for row in measured.rows]
        text = f"scores in percent, {measured.spread}:\n{readable(shown)}"
    configuration = yaml_text.write(saved.origin)
    about = "\n".join(filter(None, (f"{path}: {network(saved)}", trained_on(saved.origin), kept(saved))))
    return f"{about}\n\n{text}\n\n{configuration}"


def _what_next(path: Path) -> str:
    """What becomes of an unfinished training, as far as its folder shows."""
    work = path.absolute().parent
    if work.name != WORK:
        return f"No scores yet. A training goes on from checkpoints in its own folder {WORK}/, and this lies elsewhere"
    if (model := work.with_name(MODEL)).exists():
        return f"The training in this folder has ended since, and left {model}"
    return (
        f"No scores yet. A training of the same configuration in {work.parent} goes on from the newest checkpoint in "
        f"{WORK}/"
    )


def network(saved: Saved) -> str:
    """The network in a line: its method, backbone and sizes."""
    parameters = sum(parameter.numel() for parameter in saved.network.parameters())
    architecture, identities = saved.network.architecture, saved.network.identities
    method = f"method {saved.origin['method_name']}, " if "method_name" in saved.origin else ""
    return (
        f"{method}backbone {architecture.backbone}, {parameters:,} parameters, "
        f"{identities or 'an unknown number of'} training identities, features of {saved.network.backbone.channels} "
        "numbers"
    )


def trained_on(origin: dict[str, Any]) -> str:
    """Where the weights come from, in a sentence; ``origin`` is a training's configuration or an import's record."""
    if "imported" in origin:
        return (
            f"Imported from {origin['file']} (sha256 {origin['sha256'][:12]}…), a {origin['imported']}; on what it was "
            "trained that file does not say"
        )
    if "data" not in origin:
        return "Where its weights come from it does not say"
    title = title_of(origin["set"])
    data = f"drawn people, a stand-in in {title}'s layout" if origin["data"] == STAND_IN else title
    size = f"images of {origin['height']} x {origin['width']} pixels"
    if not origin["epochs"]:
        return f"Untrained: initial weights, meant for {data}, split {origin['split']}, seed {origin['seed']}, {size}"
    return f"Trained on {data}, split {origin['split']}, {origin['epochs']} epochs, seed {origin['seed']}, {size}"


def caution(origin: dict[str, Any]) -> str:
    """Why what the model finds says nothing about people, in a sentence; empty: nothing is known against it."""
    if origin.get("data") == STAND_IN:
        return (
            "The model learned drawn people, none of whom exists: it is for trying the software, and what it finds "
            "among photographs says nothing"
        )
    if origin.get("epochs") == 0:
        return "The model is untrained: what it finds says nothing"
    return ""


def kept(saved: Saved) -> str:
    """Of which epoch the weights are, and how it scored on held-out identities, in a sentence; empty: not validated."""
    scores = saved.validation
    if not {"epoch", "identities", "rank1", "mAP", "mINP"} <= scores.keys():  # none, or never scored
        return ""
    best = saved.origin["train"]["keep"] == "best_validation"
    which = "the highest validation mAP" if best else "the last"
    return (
        f"Weights of epoch {scores['epoch']}, {which}; on {scores['identities']} training identities held out for "
        f"validation: Rank-1 {scores['rank1']:.2f}, mAP {scores['mAP']:.2f}, mINP {scores['mINP']:.2f}"
    )


def title_of(name: str) -> str:
    """A data set's title; its name where the table of this installation lacks it."""
    return SETS.get(name).title if name in SETS.names() else name


@dataclass(frozen=True)
class Measured:
    """The summary of a model's scores."""

    set: str
    rows: list[Row]  # of ``summary``

    @property
    def setting(self) -> tuple[str, ...]:
        """The columns that say what was measured, and how."""
        return compared(self.set)

    @property
    def spread(self) -> str:
        """Over what the means and the standard deviations are."""
        return spread(self.set, self.rows[0]["trials"])


def scores(path: Path, saved: Saved) -> Measured | None:
    """The summary over the trials in the scores.json beside a model; None without such a file.

    Where trials are splits they are those of the same method, in the folders beside. Raises DataError for a file that
    is not a scores.json.
    """
    own = path.with_name(SCORES)
    if not own.exists():
        return None
    name, split = set_of(own, saved.origin.get("set", ""), saved.origin.get("split"))
    label = {"data": saved.origin.get("data", ""), "method": saved.origin.get("method_name", "")}
    files = {split: own}
    if SETS.get(name).trial == "split" and own.absolute().parent.name == f"split{split}":
        files = Place.of(own.absolute(), SCORES).siblings(own)
    rows = [label | row for number, file in files.items() for row in read_scores(name, number, file)]
    return Measured(name, summary(name, rows))
