"""Logs one training's model of each method to MLflow and registers it. May be run again.

python workflow/scripts/register.py --set regdb --data stand-in --methods agw msclnet \\
    --trainings results/regdb/{agw,msclnet}/split* --record results/tracking/regdb.json --out regdb_models.json
"""

import argparse
import json

from msclnet.core.address import VARIABLE, from_environment
from msclnet.core.command import output, run, source
from msclnet.core.files import write_text
from msclnet.results.layout import DEFAULT
from msclnet.tracking.delivery import Delivery
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.registry import register


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", default=from_environment(), help=f"tracking URI (default: ${VARIABLE}, or mlflow.db)")
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--data", required=True, help="what the images are: the real set's name, or stand-in")
    parser.add_argument("--experiment", default=DEFAULT, help=f"whose results they are (default: {DEFAULT})")
    parser.add_argument("--methods", required=True, nargs="+", help="those to register")
    parser.add_argument("--trainings", required=True, nargs="+", type=source, help="folders .../<method>/split<N>")
    parser.add_argument("--record", required=True, type=source, help="the JSON that track.py wrote")
    parser.add_argument("--out", required=True, type=output, help="the JSON of versions and aliases to write")
    args = parser.parse_args()
    tracked = TrackedSet(args.set, args.data, args.experiment)
    rows = register(args.uri, Delivery(tracked, args.methods, args.trainings), args.record)
    write_text(args.out, json.dumps({"model": tracked.model, "versions": rows}, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
