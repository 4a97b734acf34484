"""Prints where the results of the last run lie and how to look at them."""

import argparse
from pathlib import Path


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    here = Path.cwd()
    tables = sorted(Path("results").glob("*_summary.csv")) + sorted(Path("results").glob("*_trials.csv"))
    print("\nTables:")
    for table in tables:
        print(f"  {here / table}")
    print(f"Report:   {here / 'results/report.html'}")
    print(f"Tracking: {here / 'mlflow.db'}")
    print("Browse the runs with:  make ui   (then open http://127.0.0.1:5000)")


if __name__ == "__main__":
    main()
