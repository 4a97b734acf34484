"""Completes the tracking server's copy of a data set: trainings, scores, tables, figures. May be run again.

python workflow/scripts/track.py --set regdb --data stand-in --methods agw msclnet \\
    --trainings results/regdb/*/split* --tables results/regdb_summary.csv --figures results/figures/regdb_cmc.svg \\
    --out tracked.json
"""

import argparse
import json

from msclnet.core.address import VARIABLE, from_environment
from msclnet.core.command import output, run, source
from msclnet.core.files import write_text
from msclnet.results.layout import DEFAULT
from msclnet.tracking.delivery import Delivery
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.publish import publish
from msclnet.tracking.server import TrackingError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", default=from_environment(), help=f"tracking URI (default: ${VARIABLE}, or mlflow.db)")
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--data", required=True, help="what the images are: the real set's name, or stand-in")
    parser.add_argument("--experiment", default=DEFAULT, help=f"whose results they are (default: {DEFAULT})")
    parser.add_argument("--methods", required=True, nargs="+", help="in the order of the file's rows")
    parser.add_argument("--trainings", required=True, nargs="+", type=source, help="folders .../<method>/split<N>")
    parser.add_argument("--tables", nargs="+", type=source, default=[], help="CSV")
    parser.add_argument("--figures", nargs="+", type=source, default=[], help="SVG or PNG, and what lies beside it")
    parser.add_argument("--pack", type=source, help="the folder that pack.py wrote, for the digests of the images")
    parser.add_argument("--out", required=True, type=output, help="the JSON of run ids and counts to write")
    args = parser.parse_args()
    tracked = TrackedSet(args.set, args.data, args.experiment)
    delivery = Delivery(tracked, args.methods, args.trainings, args.tables, args.figures, args.pack)
    try:
        runs = publish(args.uri, delivery)
    except TrackingError as error:
        raise TrackingError(
            f"{error}. Nothing computed is lost: the files in results/ are the record; then run again"
        ) from error
    write_text(args.out, json.dumps(runs, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
