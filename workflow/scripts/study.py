"""The table of a study: mean, spread and paired difference to the reference of each variant; prints it.

python workflow/scripts/study.py --study study.yaml --scores results/regdb/studies/mine/*/seed*/split*/scores.json \\
    --out mine.csv
"""

import argparse

from msclnet.config import read_yaml
from msclnet.core.command import output, run, source
from msclnet.results.in_print import SELECTION
from msclnet.results.studies import table
from msclnet.results.tables import readable, write_csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--study",
        required=True,
        help="its set, its variants by name, the reference first, each with the cells of its rows, and the rows' "
        "order: YAML file, or {...} inline",
    )
    parser.add_argument("--scores", required=True, nargs="+", type=source, help="of every variant, seed and split")
    parser.add_argument("--out", required=True, type=output, help="the CSV to write")
    args = parser.parse_args()
    rows = table(read_yaml(args.study), args.scores)
    write_csv(args.out, rows)
    print(
        "Percent; mean and sample standard deviation (+-) over seeds and splits; the difference to the first variant, "
        f"pair by pair, with its 95 % interval (Student's t). {SELECTION}"
    )
    print(readable(rows))


if __name__ == "__main__":
    run(main)
