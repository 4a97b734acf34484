"""Holds a data set against its contract: counts, missing files, labels. Exits 1 listing what is amiss.

python workflow/scripts/check_data.py --set regdb --root /data/RegDB --real --out check.json
python workflow/scripts/check_data.py --set sysu --root /data/SYSU-MM01 --real --options '{protocol: official}'
"""

import argparse
import json
import sys
from pathlib import Path

from msclnet.config.evaluation import evaluation
from msclnet.core.errors import UserError, printable
from msclnet.datasets.table import SETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--root", required=True, type=Path, help="the set's folder")
    parser.add_argument("--splits", type=int, nargs="+", default=[], help="of a set that has several (default: all)")
    parser.add_argument(
        "--options", help="`evaluate.<set>`, whose needs are checked, too: a YAML file, or {...} inline"
    )
    parser.add_argument("--real", action="store_true", help="hold the counts against the real set's")
    parser.add_argument("--out", type=Path, help="a JSON file for the counts")
    args = parser.parse_args()
    data_set = SETS.get(args.set)
    asked = evaluation(data_set, args.options) if args.options else None
    found = data_set.survey(args.root, tuple(args.splits), real=args.real, evaluation=asked)
    print(printable(str(found)))
    found.require()
    if args.out:
        args.out.write_text(json.dumps(found.counts, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
