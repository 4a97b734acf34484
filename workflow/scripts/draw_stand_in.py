"""Draws people in the exact layout of RegDB or SYSU-MM01.

python workflow/scripts/draw_stand_in.py --set regdb --stand-in stand_in.yaml --out data/stand-in/regdb
"""

import argparse
import os
import sys
from pathlib import Path

from msclnet.config import StandIn, build, read_yaml
from msclnet.data.standin import draw_regdb, draw_sysu
from msclnet.types import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, choices=["regdb", "sysu"])
    parser.add_argument("--stand-in", required=True, help="the section `stand_in`: a YAML file, or {...} inline")
    parser.add_argument("--out", required=True, type=Path, help="the folder to write")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    args = parser.parse_args()
    draw = {"regdb": draw_regdb, "sysu": draw_sysu}[args.set]
    draw(args.out, build(StandIn, read_yaml(args.stand_in)), args.workers)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
