"""Finishes the report of Snakemake: captions into its pages, and a first page with the scores.

python workflow/scripts/finish_report.py results/report.html
"""

import argparse

from msclnet.core.command import run, source
from msclnet.report.finished import finish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=source, help="the .html that snakemake --report wrote")
    finish(parser.parse_args().report)


if __name__ == "__main__":
    run(main)
