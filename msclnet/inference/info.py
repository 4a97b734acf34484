"""What a checkpoint is: for the command ``msclnet info`` and for model cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from msclnet.config import STAND_IN, TITLE, SetName
from msclnet.model.files import Saved, open_model, read_state
from msclnet.results.scores import read_rows
from msclnet.results.tables import HOW, SETTING, TRIAL, Row, readable, summary

ORDER: tuple[SetName, ...] = ("sysu", "llcm", "regdb")  # a later one's columns are among those of an earlier one's
SHOWN = ("rank1", "rank1_std", "rank10", "mAP", "mAP_std", "mINP", "mINP_std")


def info(path: Path) -> str:
    """The checkpoint in words, its scores as a table and its configuration as YAML.

    ``path`` is a model.pt, or a work/checkpoint-N.pt of a training that has not ended. Raises DataError for another.
    """
    if "optimiser" in (state := read_state(path)):
        job = {key: value for key, value in state["origin"].items() if key != "pack"}
        return (
            f"{path}: an unfinished training, epoch {state['epoch']} of {job['epochs']}, step {state['step']}\n"
            f"{trained_on(job)}\nIt continues when the command that began it is given again; no scores yet\n\n"
            f"{yaml.safe_dump(job, sort_keys=False)}"
        )
    saved = open_model(path)
    table = scores(path, saved)
    text = f"no scores: there is no {path.with_name('scores.json')}"
    if table:
        names = [*setting(table[0]), *SHOWN]
        text = (
            f"scores in percent, {spread(table)}:\n{readable([{name: row[name] for name in names} for row in table])}"
        )
    configuration = yaml.safe_dump(saved.origin, sort_keys=False)
    return f"{path}: {network(saved)}\n{trained_on(saved.origin)}\n\n{text}\n\n{configuration}"


def network(saved: Saved) -> str:
    """The network in a line: its method, backbone and sizes."""
    parameters = sum(parameter.numel() for parameter in saved.network.parameters())
    method = saved.origin.get("method_name", "the public AGW code's")
    return (
        f"method {method}, backbone {saved.model.backbone}, {parameters:,} parameters, "
        f"{saved.network.classifier.out_features} training identities, features of {saved.network.backbone.channels} "
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
    layout = TITLE[origin["set"]]
    data = f"drawn people, a stand-in in {layout}'s layout" if origin["data"] == STAND_IN else layout
    size = f"images of {origin['height']} x {origin['width']} pixels"
    if not origin["epochs"]:
        return f"Untrained: initial weights, meant for {data}, split {origin['split']}, seed {origin['seed']}, {size}"
    return f"Trained on {data}, split {origin['split']}, {origin['epochs']} epochs, seed {origin['seed']}, {size}"


def scores(path: Path, saved: Saved) -> list[Row]:
    """The summary over the trials in the scores.json beside a model; none without such a file.

    Trials are the gallery draws of SYSU-MM01 and LLCM, or RegDB's splits: those of the same method, in the folders
    beside. Raises DataError for a file that is not a scores.json.
    """
    own = path.with_name("scores.json")
    if not own.exists():
        return []
    try:
        content = json.loads(own.read_text())
        split = saved.origin.get("split", content["split"])
        found = content["rows"][0].keys()
    except (ValueError, LookupError, TypeError):
        split, found = 1, set()  # read_rows says what is wrong with it
    name: SetName = next((name for name in ORDER if {*SETTING[name], TRIAL[name]} <= found), "regdb")
    files = {split: own}
    if name == "regdb" and path.absolute().parent.name == f"split{split}":
        siblings = path.absolute().parent.parent.glob("split*/scores.json")
        files |= {int(f.parent.name.removeprefix("split")): f for f in siblings if f.parent.name != f"split{split}"}
    label = {"data": saved.origin.get("data", ""), "method": saved.origin.get("method_name", "")}
    rows = [label | row for number, file in files.items() for row in read_rows(name, number, file)]
    return [{"set": name, **row} for row in summary(name, rows)]


def setting(row: Row) -> list[str]:
    """The columns of a summary that say what was measured, and how."""
    return [*HOW, *SETTING[row["set"]]]


def spread(table: list[Row]) -> str:
    """Over what the mean and the standard deviation of a summary are."""
    count = table[0]["trials"]
    kind, what = ("split", ", a training each") if table[0]["set"] == "regdb" else ("gallery draw", " of one training")
    return f"of one {kind}" if count == 1 else f"mean and standard deviation over {count} {kind}s{what}"
