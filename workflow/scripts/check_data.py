"""Holds a data set against its contract: counts, missing files, labels. Lists what is wrong; exits 1 if anything is.

python workflow/scripts/check_data.py --set regdb --root /data/RegDB --real --out check.json
"""

import argparse
import json

from msclnet.core.command import output, run, source, whole
from msclnet.core.errors import printable
from msclnet.core.files import write_text
from msclnet.data.check import with_files
from msclnet.datasets.table import SETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--root", required=True, type=source, help="the set's folder")
    parser.add_argument(
        "--splits", type=whole(1), nargs="+", default=[], help="of a set that has several (default: all)"
    )
    parser.add_argument("--on-bad-image", choices=("stop", "skip"), default="stop", help="(default: stop)")
    parser.add_argument("--real", action="store_true", help="hold the counts against the real set's")
    parser.add_argument("--out", type=output, help="a JSON file for the counts")
    args = parser.parse_args()
    data_set = SETS.get(args.set)
    found = data_set.survey(args.root, data_set.require_splits(args.splits), real=args.real)
    found = with_files(found, args.root, skip=args.on_bad_image == "skip")
    print(printable(str(found)))
    found.require()
    if args.out:
        write_text(args.out, json.dumps(found.counts, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
