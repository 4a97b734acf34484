"""Decodes and resizes each image of a data set once, into one memory map a modality.

python workflow/scripts/pack.py --set regdb --root /data/RegDB --height 288 --width 144 --out pack
"""

import argparse
import os

from msclnet.core.command import BlackToWhite, output_folder, run, source, whole
from msclnet.data.pack import write_pack
from msclnet.datasets.table import SETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--root", required=True, type=source, help="the set's folder")
    parser.add_argument(
        "--splits", type=whole(1), nargs="+", default=[], help="of a set that has several (default: all)"
    )
    parser.add_argument("--real", action="store_true", help="hold the counts against the real set's")
    parser.add_argument("--height", required=True, type=whole(1), help="pixels")
    parser.add_argument("--width", required=True, type=whole(1), help="pixels")
    parser.add_argument("--on-bad-image", choices=("stop", "skip"), default="stop", help="(default: stop)")
    parser.add_argument("--deep-range", action=BlackToWhite, help="of more than 8 bits")
    parser.add_argument("--workers", type=whole(1), default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--out", required=True, type=output_folder, help="the folder to write")
    args = parser.parse_args()
    data_set = SETS.get(args.set)
    splits = data_set.survey(args.root, data_set.require_splits(args.splits), real=args.real).require()
    how = args.workers, args.on_bad_image, args.deep_range
    write_pack(splits, args.root, args.out, args.height, args.width, *how)


if __name__ == "__main__":
    run(main)
