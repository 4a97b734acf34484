"""The table of one of the paper's studies: Table 1 (ablation) or Figure 6 (sensitivity); prints it.

python workflow/scripts/study.py ablation --studies studies.yaml --losses losses.yaml --data stand-in \\
    --scores results/sysu/studies/*/seed*/split1/scores.json --out ablation.csv
"""

import argparse
import sys
from pathlib import Path

from msclnet.config import Studies, build, read_yaml
from msclnet.core.errors import UserError
from msclnet.results.in_print import SELECTION
from msclnet.results.studies import ablation, sensitivity, sensitivity_points
from msclnet.results.tables import readable, write_csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("ablation", "sensitivity"))
    parser.add_argument(
        "--studies", required=True, help="that section of the configuration: YAML file, or {...} inline"
    )
    parser.add_argument("--losses", required=True, help="the complete method's weights: YAML file, or {...} inline")
    parser.add_argument("--data", required=True, help="what the images are: the real set's name, or stand-in")
    parser.add_argument("--scores", required=True, nargs="+", type=Path, help="of every variant and seed")
    parser.add_argument("--out", required=True, type=Path, help="the CSV to write")
    args = parser.parse_args()
    studies = build(Studies, read_yaml(args.studies), "studies")
    losses = read_yaml(args.losses)
    match args.study:
        case "ablation":
            rows = ablation(studies.set, args.data, args.scores)
        case "sensitivity":
            rows = sensitivity(studies.set, args.data, sensitivity_points(studies, losses), args.scores)
    write_csv(args.out, rows)
    print(f"Percent; mean and sample standard deviation (+-) over the seeds. {SELECTION}")
    print(readable(rows))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
