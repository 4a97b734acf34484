"""Holds a data set against its contract: counts, missing files, labels. Exits 1 listing what is amiss.

python workflow/scripts/check_data.py --set regdb --root /data/RegDB --real --out check.json
"""

import argparse
import json
import sys
from pathlib import Path

from msclnet.data import regdb, sysu
from msclnet.types import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, choices=["regdb", "sysu"])
    parser.add_argument("--root", required=True, type=Path, help="the set's folder")
    parser.add_argument("--splits", type=int, nargs="+", default=list(range(1, 11)), help="of RegDB (default: 1..10)")
    parser.add_argument("--real", action="store_true", help="hold the counts against the real set's")
    parser.add_argument("--out", type=Path, help="a JSON file for the counts")
    args = parser.parse_args()
    if args.set == "regdb":
        found = regdb.summary(regdb.read(args.root, tuple(args.splits), real=args.real))
        expected = regdb.EXPECTED
    else:
        found = sysu.summary(sysu.read(args.root, real=args.real))
        expected = sysu.EXPECTED
    print(f"{args.root}: as its contract says")
    for name, count in found.items():
        print(f"  {name:26}{count:8}" + (f"   of {expected[name]} in the real set" if not args.real else ""))
    if args.out:
        args.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
