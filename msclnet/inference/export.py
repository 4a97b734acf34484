"""A model for other runtimes, checked against the original before it is handed out.

One file for both modalities: its inputs are ``images``, uint8 ``[batch, height, width, 3]`` RGB at the size the model
was trained at, and ``modality``, int64 ``[batch]``, 0 visible, 1 infrared; its outputs ``bn`` and ``pooled``, float32
``[batch, C]``, rows of unit length. Both stems see every image and the modality picks, so a batch may mix them:
docs/use.md says what that costs, and why it beats two files.
"""

from __future__ import annotations

import dataclasses
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from msclnet.core.errors import DataError, UserError, reason
from msclnet.core.file_kind import kind_of
from msclnet.core.files import filling, require_file, sha256, write_text
from msclnet.core.optional import extra
from msclnet.core.types import Modality
from msclnet.data.augmentation import normalise
from msclnet.evaluation.embedding import embed_pixels, image_size
from msclnet.inference.card import write_card
from msclnet.model.files import EXPORTS, Saved, description, open_model, rebuild
from msclnet.model.msclnet import MSCLNet, embedding
from msclnet.standin import people

Format = Literal["onnx", "torch-export", "safetensors"]
TOLERANCE = 1e-4  # largest allowed difference of an element of a unit feature
RANDOM, PEOPLE = 16, 24  # images, and drawn people (an image of each in both modalities), to verify on
BATCH = 7  # divides neither, so that batches of several sizes are tried

Embed = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Exported(nn.Module):
    """Raw images of both modalities to features: the graph that is exported, without what only training reads."""

    def __init__(self, network: MSCLNet) -> None:
        super().__init__()
        self.gem_p = network.gem_p
        self.backbone = network.backbone
        self.bottleneck = network.bottleneck

    def forward(self, images: Tensor, modality: Tensor) -> tuple[Tensor, Tensor]:
        x = normalise(images)
        visible = (modality == Modality.VISIBLE)[:, None, None, None]
        visible_stems, infrared_stems = (self.backbone.stem(x, m) for m in Modality)
        maps = self.backbone.shared(torch.where(visible, visible_stems, infrared_stems))
        features = embedding(maps, self.gem_p, self.bottleneck)
        return features.bn, features.pooled


@dataclass(frozen=True)
class Verification:
    """How far an export is from its model: differences of an element of a feature, rankings across modalities."""

    random_images: int
    random_difference: float
    stand_in_images: int
    stand_in_difference: float
    queries: int  # each stand-in image, in the gallery of the other modality
    same_nearest: float  # fraction of the queries with the same nearest image
    same_ranking: float  # fraction with the whole gallery in the same order

    def __str__(self) -> str:
        return (
            f"largest difference {self.random_difference:.1e} on {self.random_images} random and "
            f"{self.stand_in_difference:.1e} on {self.stand_in_images} stand-in images; of {self.queries} queries "
            f"{self.same_nearest:.1%} have the same nearest image, {self.same_ranking:.1%} the same whole ranking"
        )


def export(model: Path, format: Format, out: Path | None = None) -> tuple[Path, Verification]:
    """Writes a model for other runtimes, verified, with its card and the report.

    The card is ``<out>.md``, the report of the verification ``<out>.json``.

    Args:
        model: a ``model.pt``.
        format: ``onnx``, ``torch-export`` or ``safetensors``.
        out: the file to write, which ends in ``.onnx``, ``.pt2`` or ``.safetensors``. By default it lies beside the
            model.

    Returns:
        The file written.
        How far it is from the model.

    Raises:
        UserError: the export's features differ by more than ``TOLERANCE``, and nothing is left. Or ``out`` has another
            suffix than the format's, or a library that the format needs is not installed.
        DataError: the file is no model.
        StorageError: ``out`` cannot be written.
    """
    out = out or model.with_suffix(EXPORTS[format])
    require_file(out)
    if out.suffix != EXPORTS[format]:
        raise UserError(f"--out {out}: expected a name that ends in {EXPORTS[format]}, which says the format {format}")
    with _stages(3) as stage:
        stage(f"reading {model.name}")
        saved = open_model(model)
        out.parent.mkdir(parents=True, exist_ok=True)
        with filling(out), tempfile.TemporaryDirectory(dir=out.parent) as folder:
            partial = Path(folder, out.name)
            stage(f"writing {out.name}")
            _write(saved, format, partial)
            stage(f"comparing features of {RANDOM + 2 * PEOPLE} images")
            verification = verify(saved.network, load_export(partial))
            largest = max(verification.random_difference, verification.stand_in_difference)
            if not largest <= TOLERANCE:  # NaN is no pass
                raise UserError(
                    f"{out}: not written, it is not the model {model}: {verification}; at most {TOLERANCE} is"
                )
            partial.replace(out)
    report = {
        "format": format,
        "model": model.name,
        "model_sha256": sha256(model),
        "sha256": sha256(out),
        "bytes": out.stat().st_size,
        **dataclasses.asdict(verification),
    }
    write_text(out.with_name(out.name + ".json"), json.dumps(report, indent=2) + "\n")
    write_card(out.with_name(out.name + ".md"), out.name, model, saved, str(verification))
    return out, verification


@contextmanager
def _stages(count: int) -> Iterator[Callable[[str], None]]:
    """A function that says what begins now, on a terminal."""
    with extra("use"):
        from tqdm import tqdm
    how = "{desc} ({n_fmt} of {total_fmt}), {elapsed} so far"
    with tqdm(total=count, disable=None, leave=False, bar_format=how) as bar:

        def begin(stage: str) -> None:
            bar.update()
            bar.set_description_str(stage)

        yield begin


def _write(saved: Saved, format: Format, path: Path) -> None:
    match format:
        case "onnx":
            _onnx(saved.network, path)
        case "torch-export":
            buffer = io.BytesIO()  # torch's own writer says a full disk by an error of its own
            torch.export.save(_program(saved.network), buffer)
            path.write_bytes(buffer.getbuffer())
        case "safetensors":
            _safetensors(saved, path)


def load_export(path: str | Path) -> Embed:
    """An exported file as a function of images and modalities, on the CPU.

    Nothing in the file is executed but the operators of its graph.

    Args:
        path: a file that ``export`` wrote.

    Returns:
        A function of images, uint8 ``[batch, height, width, 3]`` RGB, and of their modality, int64 ``[batch]``. The
            images have the size the model was trained at; 0 is visible, 1 infrared. It returns ``bn`` and ``pooled``,
            float32 ``[batch, C]``, rows of unit length.

    Raises:
        DataError: the file is absent, of another suffix, damaged, or a ``.safetensors`` that ``export`` did not write.
        UserError: a library that the format needs is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; write it with `msclnet export`")
    if path.suffix not in EXPORTS.values():
        raise DataError(f"{path}: expected a file that ends in {', '.join(EXPORTS.values())}")
    try:
        return _loaded(path)
    except UserError:
        raise
    except Exception as error:  # each format's library names a damaged file by types of its own
        raise DataError(
            f"{path}: {kind_of(path)}, not readable as an export ({reason(error)}); copy it again from where it came "
            "from, or write it with `msclnet export`"
        ) from error


def _loaded(path: Path) -> Embed:
    match path.suffix:
        case ".onnx":
            with extra("use"):
                import onnxruntime
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            return lambda images, modality: tuple(
                session.run(["bn", "pooled"], {"images": images, "modality": modality})
            )
        case ".pt2":
            return _called(torch.export.load(path).module())
        case _:
            return _called(Exported(_from_safetensors(path).network))


def verify(network: MSCLNet, exported: Embed) -> Verification:
    """Compares the features of random and of drawn images, and the rankings of the drawn ones across modalities."""
    height, width = image_size(network)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (RANDOM, height, width, 3), np.uint8)
    _, difference = _compared(network, exported, noise, np.arange(RANDOM) % 2)
    drawn = np.stack([image for modality in Modality for image in _drawn(modality, height, width)])
    modality = np.repeat([int(m) for m in Modality], PEOPLE)
    pairs, drawn_difference = _compared(network, exported, drawn, modality)
    ours, theirs = (_rankings(features, modality) for features in pairs)
    return Verification(
        random_images=RANDOM,
        random_difference=difference,
        stand_in_images=len(drawn),
        stand_in_difference=drawn_difference,
        queries=len(drawn),
        same_nearest=float((ours[:, 0] == theirs[:, 0]).mean()),
        same_ranking=float((ours == theirs).all(1).mean()),
    )


def _compared(
    network: MSCLNet, exported: Embed, images: np.ndarray, modality: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """The ``bn`` features of the network and of its export, and the largest difference of any of their features."""
    ours = np.empty((2, len(images), network.backbone.channels), np.float32)
    for m in Modality:
        ours[:, modality == m] = embed_pixels(network, images[modality == m], m)
    batches = [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]
    theirs = np.concatenate([np.stack(exported(images[rows], modality[rows])) for rows in batches], axis=1)
    return (ours[0], theirs[0]), float(np.abs(ours - theirs).max())


def _rankings(features: np.ndarray, modality: np.ndarray) -> np.ndarray:
    """For each image the other modality's, nearest first: ``[N, N / 2]``."""
    visible, infrared = (features[modality == m] for m in Modality)
    similarity = visible @ infrared.T
    return np.argsort(-np.concatenate((similarity, similarity.T)), axis=1, kind="stable")


def _drawn(modality: Modality, height: int, width: int) -> list[np.ndarray]:
    """The same people in every modality, uint8 ``[height, width, 3]`` each."""
    place = np.random.default_rng(int(modality))
    camera = people.camera(np.random.default_rng(int(modality)), place, modality, thermal=False)
    drawn = []
    for number in range(PEOPLE):
        who = people.person(np.random.default_rng(number))
        rng = np.random.default_rng((number, int(modality)))
        drawn.append(np.asarray(people.draw(who, camera, width, height, rng)))
    return drawn


def _program(network: MSCLNet) -> torch.export.ExportedProgram:
    height, width = image_size(network)
    example = torch.zeros(2, height, width, 3, dtype=torch.uint8), torch.tensor([0, 1])
    batch = torch.export.Dim("batch")
    return torch.export.export(Exported(network).eval(), example, dynamic_shapes=({0: batch}, {0: batch}))


def _onnx(network: MSCLNet, path: Path) -> None:
    with extra("use"):
        import onnx  # noqa: F401  (the exporter needs both)
        import onnxscript  # noqa: F401
    program = torch.onnx.export(
        _program(network),
        dynamo=True,
        verbose=False,
        optimize=False,  # it takes what GeM adds to a silent channel for nothing; what runs the file has its own
        input_names=["images", "modality"],
        output_names=["bn", "pooled"],
    )
    assert program is not None
    program.save(path, external_data=False)


def _safetensors(saved: Saved, path: Path) -> None:
    with extra("use"):
        from safetensors.torch import save
    sections = description(saved.network, saved.origin, saved.validation)
    # A tensor under two names (the baseline's classifier heads Eq. 4, too) is written twice: the format has no links.
    tensors = {name: value.clone() for name, value in saved.network.state_dict().items()}
    path.write_bytes(save(tensors, {"format": "pt", "msclnet": json.dumps(sections)}))


def _from_safetensors(path: Path) -> Saved:
    with extra("use"):
        from safetensors import safe_open
    with safe_open(path, "pt") as file:
        sections = (file.metadata() or {}).get("msclnet")
        if sections is None:
            raise DataError(f"{path}: has no metadata 'msclnet'; expected a file that `msclnet export` wrote")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    return rebuild({**json.loads(sections), "network": tensors}, path)


def _called(module: nn.Module) -> Embed:
    @torch.inference_mode()
    def embed(images: np.ndarray, modality: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bn, pooled = module(torch.from_numpy(images), torch.from_numpy(modality))
        return bn.numpy(), pooled.numpy()

    return embed
