"""Draws a figure, as SVG and PNG, and its numbers as CSV beside it where no table holds them.

python workflow/scripts/plot.py cmc --set regdb --data stand-in --methods agw msclnet --ranks 20 \\
    --scores results/regdb/*/split*/scores.json --out regdb_cmc.svg
python workflow/scripts/plot.py losses --set regdb --data stand-in --methods agw msclnet \\
    --metrics results/regdb/*/split*/metrics.jsonl --out regdb_losses.svg
python workflow/scripts/plot.py distances --set regdb --data stand-in --methods agw msclnet \\
    --features results/regdb/*/split1/features.npz --out regdb_distances.svg
python workflow/scripts/plot.py ranked --set regdb --data stand-in --method msclnet --table regdb_ranked.csv \\
    --pack data/packs/regdb --out regdb_ranked.svg
python workflow/scripts/plot.py ablation --set sysu --table results/ablation.csv --out ablation.svg
"""

import argparse
import sys
from pathlib import Path

from msclnet.core.errors import UserError
from msclnet.data.pack import Pack
from msclnet.report.figures.activation import plot_activation
from msclnet.report.figures.cameras import plot_cameras
from msclnet.report.figures.curves import plot_ablation, plot_cmc, plot_losses, plot_sensitivity
from msclnet.report.figures.distances import plot_distances
from msclnet.report.figures.embedding import plot_embedding
from msclnet.report.figures.ranked import plot_ranked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = parser.add_subparsers(dest="figure", required=True)
    cmc = figures.add_parser("cmc", help="CMC curves, mean and range over the trials")
    cmc.add_argument("--ranks", required=True, type=int, help="the last rank")
    cmc.add_argument("--scores", required=True, nargs="+", type=Path, help=".../<method>/split<N>/scores.json")
    losses = figures.add_parser("losses", help="the learning rate and each term of the objective")
    losses.add_argument("--metrics", required=True, nargs="+", type=Path, help=".../<method>/split<N>/metrics.jsonl")
    embedding = figures.add_parser("embedding", help="t-SNE of test features")
    embedding.add_argument("--identities", required=True, type=int, help="how many, 1 to 7")
    embedding.add_argument("--seed", required=True, type=int, help="of their choice, and of t-SNE")
    distances = figures.add_parser("distances", help="distances across modalities, within and between identities")
    cameras = figures.add_parser("cameras", help="Rank-1 by the pair of cameras")
    for figure in (embedding, distances, cameras):
        figure.add_argument("--features", required=True, nargs="+", type=Path, help="features.npz, a method each")
    for figure in (cmc, losses, embedding, distances, cameras):
        figure.add_argument("--methods", required=True, nargs="+", help="in the order of the legend")
    ranked = figures.add_parser("ranked", help="ranked lists")
    ranked.add_argument("--method", required=True, help="whose lists")
    activation = figures.add_parser("activation", help="class-activation maps over their images")
    for figure in (ranked, activation):
        figure.add_argument("--table", required=True, type=Path, help="the CSV that explain.py wrote")
        figure.add_argument("--pack", required=True, type=Path, help="the folder that pack.py wrote")
    for figure in (cmc, losses, embedding, distances, cameras, ranked, activation):
        figure.add_argument("--data", required=True, help="what the images are: the real set's name, or stand-in")
    ablation = figures.add_parser("ablation", help="Table 1 beside the paper's")
    sensitivity = figures.add_parser("sensitivity", help="Figure 6: one weight varied")
    for figure in (ablation, sensitivity):
        figure.add_argument("--table", required=True, type=Path, help="the CSV that study.py wrote")
    for figure in figures.choices.values():
        figure.add_argument("--set", required=True, choices=("regdb", "sysu", "llcm"))
        figure.add_argument("--out", required=True, type=Path, help="the figure, .svg or .png: both are written")
    args = parser.parse_args()
    match args.figure:
        case "cmc":
            plot_cmc(args.set, args.data, args.methods, args.ranks, args.scores, args.out)
        case "losses":
            plot_losses(args.set, args.data, args.methods, args.metrics, args.out)
        case "embedding":
            plot_embedding(args.set, args.data, args.methods, args.identities, args.seed, args.features, args.out)
        case "distances":
            plot_distances(args.set, args.data, args.methods, args.features, args.out)
        case "cameras":
            plot_cameras(args.set, args.data, args.methods, args.features, args.out)
        case "ranked":
            plot_ranked(args.set, args.data, args.method, args.table, Pack.open(args.pack), args.out)
        case "activation":
            plot_activation(args.set, args.data, args.table, Pack.open(args.pack), args.out)
        case "ablation":
            plot_ablation(args.set, args.table, args.out)
        case "sensitivity":
            plot_sensitivity(args.set, args.table, args.out)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
