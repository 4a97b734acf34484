"""Draws people in the exact layout of a data set.

python workflow/scripts/draw_stand_in.py --set regdb --out drawn/regdb
python workflow/scripts/draw_stand_in.py --set sysu --like /data/lists/sysu --out drawn/sysu
"""

import argparse
import os
from pathlib import Path

from msclnet.config import build, load, read_yaml, replace
from msclnet.core.command import output_folder, run, whole
from msclnet.core.files import exclusive_lock, filling
from msclnet.datasets.table import SETS
from msclnet.standin.drawing import DRAWN

DEFAULT = str(Path(__file__).parents[2] / "config/config.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--options", help="`stand_in.<set>`: a YAML file, or {...} inline (default: config.yaml's)")
    parser.add_argument("--seed", type=whole(0), help="of the drawing (default: config.yaml's)")
    parser.add_argument("--like", help="a folder with the real set's lists (idx/ or exp/): draw exactly as they say")
    parser.add_argument("--out", required=True, type=output_folder, help="the folder to write")
    parser.add_argument("--workers", type=whole(1), default=os.cpu_count() or 1, help="processes (default: all cores)")
    args = parser.parse_args()
    data_set = SETS.get(args.set)
    if args.options:
        options = build(data_set.StandIn, read_yaml(args.options), f"stand_in.{data_set.name}")
    else:
        options = load(DEFAULT).stand_in.of(data_set.name)
    seed = load(DEFAULT).stand_in.seed if args.seed is None else args.seed
    if args.like:
        options = replace(options, like=args.like)
    with exclusive_lock(args.out):
        (args.out / DRAWN).unlink(missing_ok=True)  # or what a killed run leaves would look whole
        with filling(args.out):
            data_set.draw(args.out, options, seed, args.workers)


if __name__ == "__main__":
    run(main)
