"""Logs the best split's model of each method to MLflow and registers it as msclnet-<set>. May be run again.

python workflow/scripts/register.py --uri "" --set regdb --data stand-in --methods agw msclnet \\
    --trainings results/regdb/{agw,msclnet}/split* --record results/tracking/regdb.json --out regdb_models.json
"""

import argparse
import json
import sys
from pathlib import Path

from msclnet.core.errors import UserError
from msclnet.tracking.registry import register


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", required=True, help="tracking URI; '': mlflow.db in the working directory")
    parser.add_argument("--set", required=True, choices=("regdb", "sysu", "llcm"))
    parser.add_argument("--data", required=True, help="what the images are: the real set's name, or stand-in")
    parser.add_argument("--methods", required=True, nargs="+", help="those to register")
    parser.add_argument("--trainings", required=True, nargs="+", type=Path, help="folders .../<method>/split<N>")
    parser.add_argument("--record", required=True, type=Path, help="the JSON that track.py wrote")
    parser.add_argument("--out", required=True, type=Path, help="the JSON of versions and aliases to write")
    args = parser.parse_args()
    rows = register(args.uri, args.set, args.data, args.methods, args.trainings, args.record)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"model": f"msclnet-{args.set}", "versions": rows}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
