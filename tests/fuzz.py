"""Damaged inputs for every reader of a file: each is read to what makes sense, or refused by the project's error.

python tests/fuzz.py --inputs 100000        writes a table of what was read, refused, and neither

A case is known by its reader and its number: ``python tests/fuzz.py --reader scores --first 4711 --inputs 1``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import io
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.models import resnet18

from msclnet.config import load, plain, train_job
from msclnet.core import torch_file, yaml_text
from msclnet.core.errors import UserError
from msclnet.core.types import Features, ImageRecord, Modality
from msclnet.data.manifest import read_index, read_manifest, read_splits
from msclnet.data.pack import Pack, write_pack
from msclnet.datasets.base import Split
from msclnet.evaluation.feature_file import TYPES, load_anybodys, load_features, save_features
from msclnet.inference.export import _safetensors, load_export
from msclnet.inference.feature_cache import Image, Store
from msclnet.inference.index import Index, exact
from msclnet.inference.info import info
from msclnet.launch.gpu_lease import _taken
from msclnet.model.backbone import Backbone
from msclnet.model.files import load_model, open_model, save_model
from msclnet.model.importing import import_checkpoint
from msclnet.model.msclnet import MSCLNet
from msclnet.model.origins.table import ORIGINS
from msclnet.results.scores import COUNTS, METRICS, read_scores, write_scores
from msclnet.results.tables import read_csv
from msclnet.results.training import read_training
from msclnet.tracking.naming import curves
from msclnet.tracking.registry import _runs
from msclnet.training.checkpoint import newest
from msclnet.training.learner import build_network

ROOT = Path(__file__).parents[1]
PATIENCE = 20  # seconds of the processor for one input
WAITING = 300  # seconds by the clock: a busy machine gives a process less than one in one
MEMORY = 12 * 2**30  # bytes of addresses, most of them of libraries
STATE, ARRAYS = "state.json", "arrays.json"  # what a file is made from when it is read
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 10**40, 1e308, float("nan"), float("inf"), "", "x", "1", "\x1b[2J",
    "é\ud800", [], {}, [[]], [None], {"x": 1}, "9" * 5000, [0] * 100,
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """Something that reads files, and valid files for it."""

    make: Callable[[Path], list[str]]  # writes valid files to a folder; the names of those to be damaged
    read: Callable[[Path], Any]  # reads what lies there
    sane: Callable[[Any], bool] = lambda value: True  # whether what was read can be meant
    share: float = 1.0  # of the inputs, for what takes long to read


def damaged(content: bytes, name: str, rng: random.Random) -> bytes:
    """``content`` with one kind of damage, chosen by ``rng``: of its bytes, or of its meaning."""
    if name in (STATE, ARRAYS) or (name.endswith((".json", ".jsonl", ".yaml", ".csv")) and rng.random() < 0.7):
        return _meaning(content, name, rng)
    kind = rng.randrange(7)
    if kind == 0:
        return content[: rng.randrange(len(content))]
    if kind == 1:
        return b""
    if kind == 2:
        return rng.randbytes(rng.randrange(200))
    if kind == 3:
        start = rng.randrange(len(content))
        return content[:start] + content[start + rng.randrange(1, 64) :]
    if kind == 4:
        start = rng.randrange(len(content))
        return content[:start] + rng.randbytes(rng.randrange(1, 32)) + content[start:]
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 40))):
        changed[rng.randrange(len(changed))] = rng.choice((0, 255, rng.randrange(256)))
    return bytes(changed)


def _meaning(content: bytes, name: str, rng: random.Random) -> bytes:
    if name.endswith(".csv"):
        cells = [line.split(",") for line in content.decode().splitlines()]
        row = rng.choice(cells)
        row[rng.randrange(len(row))] = _text(rng.choice(JUNK))
        if rng.random() < 0.2:
            del row[-1]
        return "\n".join(",".join(line) for line in cells).encode("utf-8", "replace")
    if name.endswith(".jsonl"):
        lines = content.splitlines()
        at = rng.randrange(len(lines))
        lines[at] = json.dumps(_changed(json.loads(lines[at]), rng)).encode()
        return b"\n".join(lines) + b"\n"
    if name.endswith(".yaml"):
        with contextlib.suppress(Exception):
            return yaml_text.write(_changed(yaml_text.read(content.decode()), rng)).encode("utf-8", "replace")
        return b"x: ["
    return json.dumps(_changed(json.loads(content), rng)).encode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _changed(value: Any, rng: random.Random) -> Any:
    """``value`` with one entry, at any depth, changed, taken out, or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        if rng.random() < 0.05:
            return value | {rng.choice(("x", "", "kind", "version")): rng.choice(JUNK)}
        return value | {key: _changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        if rng.random() < 0.15:
            return [*value[:at], *value[at + 1 :]]
        return [*value[:at], _changed(value[at], rng), *value[at + 1 :]]
    if isinstance(value, int | float) and rng.random() < 0.3:
        return rng.choice((-value, value + 1, value * 10**6, value + 0.5, str(value)))
    return rng.choice(JUNK)


# The readers.


def _pack(folder: Path) -> list[str]:
    from PIL import Image as Pixels

    records = []
    for modality in Modality:
        for identity in (1, 2):
            path = f"{modality.name.lower()}/{identity}.png"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Pixels.new("RGB", (8, 16), (identity, 2, 3)).save(folder / path)
            records.append(ImageRecord(path, identity, int(modality) + 1, modality))
    write_pack({1: Split(tuple(records), tuple(records))}, folder, folder / "pack", 16, 8, 1)
    return ["pack/pack.json", "pack/index.csv", "pack/splits.json", "pack/visible.npy", "pack/verified.json"]


def _open_pack(folder: Path) -> Pack:
    pack = Pack.open(folder / "pack")
    for modality in Modality:
        pack.rows(1, "train", modality)
    return pack


def _sound_pack(pack: Pack) -> bool:
    return all(
        len(pack.images[m]) == len(pack.identities[m]) == len(pack.paths[m]) == 2
        and pack.images[m].shape[1:] == (16, 8, 3)
        for m in Modality
    )


def _beside(folder: Path) -> Any:
    """What lies beside the images, whatever their digests."""
    manifest = read_manifest(folder / "pack")
    return read_index(folder / "pack", manifest), read_splits(folder / "pack", manifest)


def _job() -> Any:
    return train_job(load(str(ROOT / "config/config.yaml")), "regdb", "agw", 1)


def _training(folder: Path) -> list[str]:
    lines: list[dict[str, Any]] = [
        {"kind": "start", "time": 1e9, "processes": 1, "device": "cpu", "steps": 2, "git": "x", "hardware": "x"},
        {"kind": "step", "time": 1e9 + 1, "epoch": 1, "step": 1, "rate": 0.1, "identity": 1.5, "total": 2.5},
        {"kind": "step", "time": 1e9 + 2, "epoch": 1, "step": 2, "rate": 0.1, "identity": 1.5, "total": 2.5},
        {"kind": "epoch", "time": 1e9 + 3, "epoch": 1, "step": 2, "seconds": 2.0, "total": 2.5},
        {"kind": "end", "time": 1e9 + 4, "step": 2, "seconds": 4.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.yaml").write_text(yaml_text.write(plain(_job())))
    return ["metrics.jsonl", "config.yaml"]


def _read_training(folder: Path) -> Any:
    training = read_training(folder)
    assert training.digest
    assert training.method_digest
    return training.began, training.ended, training.validated, curves(training)


def _sound_training(found: Any) -> bool:
    began, ended, _, points = found
    values = [p.value for steps in points.values() for p in steps.values()]
    return began > 0 and (ended is None or ended > 0) and all(isinstance(v, int | float) for v in values)


def _scores(folder: Path) -> list[str]:
    row = {"feature": "bn", "flip": "no", "rerank": "no", "protocol": "standard", "split": 1}
    row |= dict.fromkeys(METRICS, 12.5) | dict.fromkeys(COUNTS, 7)
    ways = ("visible-to-infrared", "infrared-to-visible")
    write_scores(folder / "scores.json", 1, [row | {"direction": way} for way in ways])
    return ["scores.json"]


def _sound_scores(rows: Any) -> bool:
    percent = all(type(row[m]) in (int, float) and 0 <= row[m] <= 100 for row in rows for m in METRICS)
    return percent and all(type(row[c]) is int and row[c] >= 0 for row in rows for c in COUNTS)


def _model(folder: Path) -> list[str]:
    save_model(folder / "model.pt", build_network(_job(), 3), plain(_job()))
    _scores(folder)
    return ["model.pt", "scores.json"]


def _forged(folder: Path) -> list[str]:
    """A model whose digest is right, whatever it says: as JSON here, packed when it is read."""
    save_model(folder / "model.pt", build_network(_job(), 3), plain(_job()))
    state = torch_file.load(folder / "model.pt")
    torch.save(state.pop("network"), folder / "weights.bin")
    (folder / STATE).write_text(json.dumps(state))
    return [STATE]


def _read_forged(folder: Path) -> Any:
    state = json.loads((folder / STATE).read_text())
    if not isinstance(state, dict):
        return None
    torch_file.save(folder / "model.pt", state | {"network": torch.load(folder / "weights.bin", weights_only=True)})
    return info(folder / "model.pt")


def _hollow(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """Zeros of these shapes, each of a number or so in its file: its names and shapes are what is damaged."""
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


@functools.cache
def _two_stream() -> dict[str, list[int]]:
    """The names and shapes that AGW's public code gives a network without non-local blocks."""
    reading = ORIGINS.get("agw").read({"classifier.weight": torch.zeros(3, 2048)})
    with torch.device("meta"):
        network = MSCLNet(3, reading.architecture, ("visible_logits",))
    return {reading.theirs(name): list(value.shape) for name, value in network.state_dict().items()}


def _foreign(folder: Path) -> list[str]:
    weights = _hollow(_two_stream()) | {"classifier.weight": torch.zeros(3, 2048)}
    torch.save({"net": weights, "mAP": np.float64(0.5), "cmc": np.linspace(0, 1, 5), "epoch": 3}, folder / "best.t")
    return ["best.t"]


def _sound_import(found: Any) -> bool:
    """The file that was written is a model, of as many identities as were said."""
    imported, file = found
    return open_model(file).network.identities == imported.network.identities in (0, 3)


def _shapes(folder: Path) -> list[str]:
    """Names and shapes of a foreign checkpoint: a sound archive, whatever it holds."""
    (folder / STATE).write_text(json.dumps({"net": _two_stream()}))
    return [STATE]


def _read_shapes(folder: Path) -> Any:
    content = json.loads((folder / STATE).read_text())
    for outer in (content, *(content.values() if isinstance(content, dict) else ())):
        for name, shape in outer.items() if isinstance(outer, dict) else ():
            with contextlib.suppress(RuntimeError, TypeError, ValueError, OverflowError):
                outer[name] = torch.zeros(()).expand(shape) if isinstance(shape, list) else shape
                if name == "classifier.weight" and outer[name].numel() < 10**6:
                    outer[name] = outer[name].contiguous()
    torch.save(content, folder / "best.t")
    return _read_foreign(folder)


def _read_foreign(folder: Path) -> Any:
    return import_checkpoint(folder / "best.t", folder / "model.pt"), folder / "model.pt"


def _weights(folder: Path) -> list[str]:
    with torch.device("meta"):
        shapes = {name: list(value.shape) for name, value in resnet18().state_dict().items()}
    torch.save({"state_dict": _hollow(shapes), "epoch": 90}, folder / "w.pth")
    return ["w.pth"]


def _export(folder: Path) -> list[str]:
    save_model(folder / "model.pt", build_network(_job(), 3), plain(_job()))
    _safetensors(open_model(folder / "model.pt"), folder / "person.safetensors")
    (folder / "model.pt").unlink()
    return ["person.safetensors"]


def _read_export(folder: Path) -> Any:
    embed, job = load_export(folder / "person.safetensors"), _job()
    return embed(np.zeros((1, job.height, job.width, 3), np.uint8), np.zeros(1, np.int64))


def _index(folder: Path) -> list[str]:
    store = Store(folder / "cache", 4)
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    store.put([Image(f"{n}.png", 10, 20, Modality.VISIBLE, 0.5) for n in range(60)], features)
    Index(store, Modality.VISIBLE)
    name = store.file("visible", ".faiss").name
    store._database.close()
    return [f"cache/{name}"]


def _read_index(folder: Path) -> Any:
    store = Store(folder / "cache", 4)
    try:
        queries = np.eye(2, 4, dtype=np.float32)
        return Index(store, Modality.VISIBLE).search(queries, 3), exact(store, queries, Modality.VISIBLE, 3)
    finally:
        store._database.close()


def _lease(folder: Path) -> list[str]:
    (folder / "lease-1.json").write_text(json.dumps({"job": 4711, "devices": ["0", "GPU-5f"], "share": 2}))
    return ["lease-1.json"]


def _read_lease(folder: Path) -> Any:
    """As another job reads it, whose holder lives."""
    with (folder / "lease-1.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return list(_taken(folder))


def _sound_lease(found: Any) -> bool:
    """Devices have names of their own, and none is what Python calls None: a name that is misspelt cannot be told."""
    no_names = {str(value) for value in JUNK if not isinstance(value, str)} - {"0"}
    return all(held.device not in no_names and held.job > 0 and held.share > 0 for held in found)


def _checkpoint(folder: Path) -> list[str]:
    for step in (1, 2):
        torch_file.save(folder / f"checkpoint-{step}.pt", {"origin": {"seed": 0}, "step": step, "network": {}})
    (folder / "checkpoint-old.pt").write_bytes(b"somebody's copy")
    return ["checkpoint-1.pt", "checkpoint-2.pt"]


def _configuration(folder: Path) -> list[str]:
    shutil.copy(ROOT / "config/config.yaml", folder / "config.yaml")
    shutil.copy(ROOT / "config/paper.yaml", folder / "paper.yaml")
    return ["config.yaml", "paper.yaml"]


def _own_features() -> Features:
    rng = np.random.default_rng(0)
    unit = rng.normal(size=(2, 6, 4)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    ids, cameras = np.array([1, 1, 2, 2, 3, 3]), np.array([1, 2] * 3)
    paths = np.array([f"{n}.bmp" for n in range(6)])
    return Features(
        identities=ids, cameras=cameras, modality=cameras - 1, paths=paths, bn=unit[0], pooled=unit[1], flip=False
    )


def _features(folder: Path) -> list[str]:
    save_features(folder / "features.npz", _own_features(), 1)
    return ["features.npz"]


def _typed(folder: Path) -> list[str]:
    """Features of which arrays have other types and shapes: a sound archive, whatever it holds."""
    (folder / ARRAYS).write_text(json.dumps({name: [name, 0] for name in TYPES}))
    return [ARRAYS]


def _read_typed(folder: Path) -> Any:
    wanted = json.loads((folder / ARRAYS).read_text())
    own = {**vars(_own_features()), "split": 1}
    arrays = {}
    for name, value in wanted.items() if isinstance(wanted, dict) else ():
        same = isinstance(value, list) and value == [name, 0]
        with contextlib.suppress(ValueError, OverflowError, TypeError):
            arrays[name] = np.asarray(own[name], TYPES[name]) if same else np.asarray(value)
    arrays = {name: array for name, array in arrays.items() if array.dtype != object and name.isidentifier()}
    np.savez(folder / "features.npz", **arrays)
    return load_features(folder / "features.npz")


def _cache(folder: Path) -> list[str]:
    store = Store(folder / "cache", 4)
    images = [Image(f"{n}.png", 10, 20, Modality.VISIBLE, 0.5) for n in range(5)]
    store.put(images, np.eye(5, 4, dtype=np.float32) + 0.5)
    store._database.close()
    return ["cache/images.sqlite", "cache/features-0.f32"]


def _read_cache(folder: Path) -> Any:
    store = Store(folder / "cache", 4)
    try:
        images = store.images()
        rows = store.rows(Modality.VISIBLE)
        return images, store.features(rows), [store.path(int(row)) for row in rows]
    finally:
        store._database.close()


def _sound_cache(found: Any) -> bool:
    """An image's features are its own. One under another name is none that a gallery has."""
    images, features, paths = found
    expected = {f"{number}.png": row for number, row in enumerate(np.eye(5, 4, dtype=np.float32) + 0.5)}
    pairs = zip(paths, features, strict=True)
    return set(paths) <= images.keys() and all(
        path not in expected or np.array_equal(row, expected[path]) for path, row in pairs
    )


def _record(folder: Path) -> list[str]:
    run = {"name": "x", "method": "agw", "split": 1, "run_id": "abc", "points": 3}
    (folder / "record.json").write_text(json.dumps({"experiment": {"id": "1", "name": "x"}, "runs": [run]}))
    return ["record.json"]


def _table(folder: Path) -> list[str]:
    (folder / "table.csv").write_text("data,method,rank1\nstand-in,agw,12.5\nstand-in,msclnet,13.5\n")
    return ["table.csv"]


READERS = {
    "pack": Reader(_pack, _open_pack, _sound_pack),
    "beside a pack's images": Reader(lambda f: _pack(f)[:3], _beside),
    "training": Reader(_training, _read_training, _sound_training),
    "scores": Reader(_scores, lambda f: read_scores("regdb", 1, f / "scores.json"), _sound_scores),
    "model": Reader(_model, lambda f: (load_model(f / "model.pt"), info(f / "model.pt")), share=0.1),
    "what a model says of itself": Reader(_forged, _read_forged, share=0.1),
    "foreign checkpoint": Reader(_foreign, _read_foreign, _sound_import, share=0.1),
    "names in a foreign checkpoint": Reader(_shapes, _read_shapes, _sound_import, share=0.1),
    "weights of a backbone": Reader(_weights, lambda f: Backbone("resnet18", str(f / "w.pth"), "none"), share=0.3),
    "safetensors": Reader(_export, _read_export, share=0.5),
    "index": Reader(_index, _read_index, lambda found: np.array_equal(found[0].rows, found[1].rows)),
    "lease of GPUs": Reader(_lease, _read_lease, _sound_lease),
    "checkpoint": Reader(_checkpoint, lambda f: newest(f, {"seed": 0})),
    "configuration": Reader(_configuration, lambda f: load(str(f / "config.yaml"), str(f / "paper.yaml")), share=0.2),
    "features": Reader(_features, lambda f: (load_features(f / "features.npz"), load_anybodys(f / "features.npz"))),
    "types of features": Reader(_typed, _read_typed),
    "cache": Reader(_cache, _read_cache, _sound_cache),
    "record of tracking": Reader(_record, lambda f: _runs(f / "record.json")),
    "table": Reader(_table, lambda f: read_csv(f / "table.csv", ("method", "rank1"), "aggregate.py")),
}


class Hang(BaseException):
    """An input took longer than ``PATIENCE`` or ``WAITING``."""


@contextmanager
def limited() -> Iterator[None]:
    def end(*_: object) -> None:
        raise Hang

    before = {number: signal.signal(number, end) for number in (signal.SIGALRM, signal.SIGPROF)}
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    try:
        yield
    finally:
        for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


class Bench:
    """A reader with its valid files, damaged one input at a time."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.reader = name, READERS[name]
        self.valid, self.used = folder / "valid", folder / "used"
        self.valid.mkdir(parents=True)
        self.names = self.reader.make(self.valid)
        with quiet():
            assert self.reader.sane(self.reader.read(self.valid)), f"{name}: its own valid files"
        shutil.rmtree(self.valid)  # reading may write
        self.valid.mkdir()
        self.reader.make(self.valid)

    def outcome(self, number: int) -> tuple[str, str]:
        """``read``, ``refused``, or what went wrong with input ``number``, and the details."""
        rng = random.Random(f"{self.name} {number}")
        shutil.rmtree(self.used, ignore_errors=True)
        shutil.copytree(self.valid, self.used)
        name = rng.choice(self.names)
        path = self.used / name
        path.write_bytes(damaged(path.read_bytes(), name, rng))
        try:
            with quiet(), limited():
                value = self.reader.read(self.used)
        except UserError:
            return "refused", ""
        except Hang:
            return "hang", name
        except Exception:
            return "traceback", f"{name}: {traceback.format_exc()}"
        return ("read", "") if self.reader.sane(value) else ("wrong", f"{name}: {str(value)[:500]}")


@contextmanager
def quiet() -> Iterator[None]:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1000, help="of all readers together (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input (default: 0)")
    parser.add_argument("--reader", choices=sorted(READERS), nargs="+", default=list(READERS), help="(default: all)")
    args = parser.parse_args()
    resource.setrlimit(
        resource.RLIMIT_AS, (MEMORY, MEMORY)
    )  # what a number in a file would have us take is a traceback
    faults = 0
    print("| reader | inputs | read | refused | tracebacks | hangs | wrong | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in args.reader:
        with tempfile.TemporaryDirectory() as folder:
            bench, counts, began = Bench(name, Path(folder)), Counter[str](), time.monotonic()
            each = round(args.inputs * bench.reader.share / sum(READERS[reader].share for reader in args.reader))
            for number in range(args.first, args.first + each):
                outcome, details = bench.outcome(number)
                counts[outcome] += 1
                if outcome not in ("read", "refused"):
                    faults += 1
                    print(f"{name} {number}: {outcome}: {details}", file=sys.stderr)
        shown = (counts[key] for key in ("read", "refused", "traceback", "hang", "wrong"))
        print(f"| {name} | {each} | {' | '.join(map(str, shown))} | {time.monotonic() - began:.0f} |", flush=True)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
