"""Holds a data set against its contract: counts, missing files, labels. Exits 1 listing what is amiss.

python workflow/scripts/check_data.py --set regdb --root /data/RegDB --real --out check.json
"""

import argparse
import json
import sys
from pathlib import Path

from msclnet.core.errors import UserError
from msclnet.datasets.table import readable, survey


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, choices=["regdb", "sysu", "llcm"])
    parser.add_argument("--root", required=True, type=Path, help="the set's folder")
    parser.add_argument("--splits", type=int, nargs="+", default=[], help="of RegDB (default: 1..10)")
    parser.add_argument("--real", action="store_true", help="hold the counts against the real set's")
    parser.add_argument("--out", type=Path, help="a JSON file for the counts")
    args = parser.parse_args()
    found = survey(args.set, args.root, tuple(args.splits), real=args.real)
    print(readable(found))
    found.require()
    if args.out:
        args.out.write_text(json.dumps(found.counts, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
