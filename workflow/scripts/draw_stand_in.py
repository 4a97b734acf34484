"""Draws people in the exact layout of RegDB, SYSU-MM01 or LLCM.

python workflow/scripts/draw_stand_in.py --set regdb --out data/stand-in/regdb
python workflow/scripts/draw_stand_in.py --set sysu --like lists/sysu --out data/full-size/sysu
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from msclnet.config import StandIn, build, load, read_yaml
from msclnet.core.errors import UserError
from msclnet.core.files import exclusive_lock
from msclnet.standin.sets import draw_llcm, draw_regdb, draw_sysu

DEFAULT = str(Path(__file__).parents[2] / "config/config.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, choices=["regdb", "sysu", "llcm"])
    parser.add_argument(
        "--stand-in", help="the section `stand_in`: a YAML file, or {...} inline (default: config.yaml's)"
    )
    parser.add_argument("--like", help="a folder with the real set's lists (idx/ or exp/): draw exactly as they say")
    parser.add_argument("--out", required=True, type=Path, help="the folder to write")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    args = parser.parse_args()
    stand_in = build(StandIn, read_yaml(args.stand_in)) if args.stand_in else load(DEFAULT).stand_in
    if args.like:
        of_set = dataclasses.replace(getattr(stand_in, args.set), like=args.like)
        stand_in = dataclasses.replace(stand_in, **{args.set: of_set})
    draw = {"regdb": draw_regdb, "sysu": draw_sysu, "llcm": draw_llcm}[args.set]
    with exclusive_lock(args.out):
        draw(args.out, stand_in, args.workers)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
