"""The command ``msclnet``: what is used outside the workflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from msclnet.types import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status: 0, or 1 with a message for what the user can mend."""
    parser = argparse.ArgumentParser(prog="msclnet", description="Visible-infrared person re-identification.")
    commands = parser.add_subparsers(dest="command", required=True)
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
    args = parser.parse_args(arguments)
    try:
        match args.command:
            case "import-agw":
                from msclnet.model.public_agw import import_agw  # imports torch

                network = import_agw(args.file, args.out, args.method)
                print(f"{args.out}: {args.method}, {network.classifier.out_features} training identities")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
