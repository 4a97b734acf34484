"""Draws a figure, SVG or PNG by the file's ending, and writes the numbers of CMC and losses as CSV beside it.

python workflow/scripts/plot.py cmc --set regdb --data stand-in --methods agw msclnet --ranks 20 \\
    --scores results/regdb/*/split*/scores.json --out regdb_cmc.svg
python workflow/scripts/plot.py losses --set regdb --data stand-in --methods agw msclnet \\
    --metrics results/regdb/*/split*/metrics.jsonl --out regdb_losses.svg
python workflow/scripts/plot.py ablation --set sysu --table results/ablation.csv --out ablation.svg
"""

import argparse
import sys
from pathlib import Path

from msclnet.plots import plot_ablation, plot_cmc, plot_losses, plot_sensitivity
from msclnet.types import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = parser.add_subparsers(dest="figure", required=True)
    cmc = figures.add_parser("cmc", help="CMC curves, mean and range over the trials")
    cmc.add_argument("--ranks", required=True, type=int, help="the last rank")
    cmc.add_argument("--scores", required=True, nargs="+", type=Path, help=".../<method>/split<N>/scores.json")
    losses = figures.add_parser("losses", help="the learning rate and each term of the objective")
    losses.add_argument("--metrics", required=True, nargs="+", type=Path, help=".../<method>/split<N>/metrics.jsonl")
    for figure in (cmc, losses):
        figure.add_argument("--data", required=True, help="what the images are: the real set's name, or stand-in")
        figure.add_argument("--methods", required=True, nargs="+", help="in the order of the legend")
    ablation = figures.add_parser("ablation", help="Table 1 beside the paper's")
    sensitivity = figures.add_parser("sensitivity", help="Figure 6: one weight varied")
    for figure in (ablation, sensitivity):
        figure.add_argument("--table", required=True, type=Path, help="the CSV that study.py wrote")
    for figure in (cmc, losses, ablation, sensitivity):
        figure.add_argument("--set", required=True, choices=("regdb", "sysu", "llcm"))
        figure.add_argument("--out", required=True, type=Path, help="the figure to write, .svg or .png")
    args = parser.parse_args()
    match args.figure:
        case "cmc":
            plot_cmc(args.set, args.data, args.methods, args.ranks, args.scores, args.out)
        case "losses":
            plot_losses(args.set, args.data, args.methods, args.metrics, args.out)
        case "ablation":
            plot_ablation(args.set, args.table, args.out)
        case "sensitivity":
            plot_sensitivity(args.set, args.table, args.out)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
