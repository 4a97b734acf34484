"""The command ``msclnet``: what is used outside the workflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from msclnet.types import UserError

Commands = argparse._SubParsersAction


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status: 0, or 1 with a message for what the user can mend."""
    parser = argparse.ArgumentParser(prog="msclnet", description="Visible-infrared person re-identification.")
    commands = parser.add_subparsers(dest="command", required=True)
    _import_agw(commands)
    _search(commands)
    _export(commands)
    _info(commands)
    args = parser.parse_args(arguments)
    try:
        match args.command:
            case "import-agw":
                from msclnet.model.public_agw import import_agw  # imports torch

                network = import_agw(args.file, args.out, args.method)
                print(f"{args.out}: {args.method}, {network.classifier.out_features} training identities")
            case "search":
                from msclnet.use.search import search

                search(
                    args.model,
                    args.gallery,
                    args.query,
                    args.top,
                    args.gallery_modality,
                    args.query_modality,
                    args.among,
                    args.method,
                    args.cache,
                    args.out,
                )
            case "export":
                from msclnet.use.export import export

                out, verification = export(args.model, args.format, args.out)
                print(f"{out}: {verification}\ncard: {out}.md\nreport: {out}.json")
            case "info":
                from msclnet.use.info import info

                print(info(args.checkpoint))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _import_agw(commands: Commands) -> None:
    agw = commands.add_parser(
        "import-agw",
        help="read a checkpoint of the public AGW code",
        description="Reads a checkpoint (.t) of the public AGW code and writes it as a model.pt of this project, with "
        "the same features. Nothing in the file is executed.",
    )
    agw.add_argument("file", metavar="FILE", type=Path, help="the checkpoint, e.g. sysu_agw_p4_n8_lr_0.1_seed_0_best.t")
    agw.add_argument("--out", metavar="MODEL", required=True, type=Path, help="the model.pt to write")
    agw.add_argument(
        "--method",
        choices=("agw", "base"),
        default="agw",
        help="the --method it was trained by: agw (default), or base, without non-local blocks and GeM pooling",
    )


def _search(commands: Commands) -> None:
    search = commands.add_parser(
        "search",
        help="find the person of some images in a folder of images",
        description="Embeds a folder of images (once: what has not changed comes from a cache), and prints for each "
        "query the nearest images of the other modality, best first, with their cosines. The modality of an image is "
        "the one stated, else the one a folder on its path is named for (visible, rgb, infrared, thermal, nir, cam3, "
        "...), else the one its colours show; what that left uncertain is said.",
    )
    search.add_argument("--model", required=True, type=Path, help="model.pt of a training, or of an import")
    search.add_argument("--gallery", metavar="DIR", required=True, type=Path, help="the folder of images, at any depth")
    search.add_argument("--query", metavar="IMG", required=True, nargs="+", type=Path, help="the images to look for")
    search.add_argument("--top", type=_positive, default=10, help="images to find for each query (default: 10)")
    search.add_argument("--out", metavar="PAGE", type=Path, help="an HTML page to write, with thumbnails")
    modalities = ("visible", "infrared")
    search.add_argument("--gallery-modality", choices=modalities, help="of all its images (default: each as found)")
    search.add_argument("--query-modality", choices=modalities, help="of all queries (default: each as found)")
    search.add_argument(
        "--among",
        choices=("other", *modalities),
        default="other",
        help="which images of the gallery to search: those of the modality the query is not of (default), or of one",
    )
    search.add_argument(
        "--method",
        choices=("auto", "exact", "index"),
        default="auto",
        help="compare with every image, or use an index, which is fast and may miss some; auto (default): exact below "
        "100,000 images",
    )
    search.add_argument("--cache", metavar="DIR", type=Path, help="where features are kept (default: ~/.cache/msclnet)")


def _export(commands: Commands) -> None:
    export = commands.add_parser(
        "export",
        help="write a model for other runtimes, verified, with a model card",
        description="Writes a model as one file for both modalities, compares its features with the original's, and "
        "writes a model card (.md) and the comparison (.json) beside it.",
    )
    export.add_argument("model", metavar="MODEL", type=Path, help="model.pt of a training, or of an import")
    export.add_argument("--format", required=True, choices=("onnx", "torch-export", "safetensors"))
    export.add_argument("--out", metavar="FILE", type=Path, help="the file to write (default: beside the model)")


def _info(commands: Commands) -> None:
    info = commands.add_parser(
        "info",
        help="say what a checkpoint is",
        description="Prints what a model or an unfinished training's checkpoint is, on what it was trained, the scores "
        "in the scores.json beside it, and its configuration.",
    )
    info.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="model.pt, or work/checkpoint.pt")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
