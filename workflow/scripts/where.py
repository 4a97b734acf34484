"""Prints the headline of the last run's tables, where its results lie and how to look at them.

With --port: where the MLflow UI on that port shows each data set's runs.
"""

import argparse
import csv
import json
from pathlib import Path

from msclnet.results.tables import condensed, readable
from msclnet.tracking.server import page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, help="of the MLflow UI on this machine")
    args = parser.parse_args()
    if args.port:
        for file in sorted(Path("results/tracking").glob("*.json")):
            if experiment := json.loads(file.read_text()).get("experiment"):
                print(f"{experiment['name']}: http://127.0.0.1:{args.port}/{page(experiment['id'])}")
        return
    here = Path.cwd()
    for summary in sorted(Path("results").glob("*_summary.csv")):
        with summary.open(newline="", encoding="utf-8") as file:
            heads, body = condensed([row for row in csv.DictReader(file) if row["feature"] == "bn"])
        print(f"\n{summary}, the BN feature; percent, mean (standard deviation over the trials):")
        print(readable([dict(zip(heads, cells, strict=True)) for cells in body]))
    print("\nTables:")
    for table in sorted(Path("results").glob("*.csv")):
        print(f"  {here / table}")
    print(f"Report:   {here / 'results/report.html'}")
    print(f"Logs:     {here / 'results/logs'}")
    print(f"Tracking: {here / 'mlflow.db'}")
    print("Browse the runs with:  make ui")


if __name__ == "__main__":
    main()
