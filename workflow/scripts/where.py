"""Prints the headline of the last run's tables, where its results lie and how to look at them."""

import argparse
import csv
from pathlib import Path

from msclnet.aggregate import readable


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    here = Path.cwd()
    for summary in sorted(Path("results").glob("*_summary.csv")):
        with summary.open(newline="", encoding="utf-8") as file:
            print(
                f"\n{summary}, the BN feature:\n{readable([r for r in csv.DictReader(file) if r['feature'] == 'bn'])}"
            )
    print("\nTables:")
    for table in sorted(Path("results").glob("*.csv")):
        print(f"  {here / table}")
    print(f"Report:   {here / 'results/report.html'}")
    print(f"Tracking: {here / 'mlflow.db'}")
    print("Browse the runs with:  make ui   (then open http://127.0.0.1:5000)")


if __name__ == "__main__":
    main()
