"""Draws a figure, as SVG and PNG, and its numbers as CSV beside it where no table holds them.

python workflow/scripts/plot.py cmc --set regdb --data stand-in --methods agw msclnet --out regdb_cmc.svg \\
    --ranks 20 --inputs results/regdb/{agw,msclnet}/split*/scores.json
python workflow/scripts/plot.py ranked --set regdb --data stand-in --methods agw msclnet --out regdb_ranked.svg \\
    --pack data/packs/regdb --inputs results/figures/regdb_ranked.csv
"""

import argparse

from msclnet.core.command import output, run, source, whole
from msclnet.data.pack import Pack
from msclnet.report.figures.activation import plot_activation
from msclnet.report.figures.cameras import plot_cameras
from msclnet.report.figures.cmc import plot_cmc
from msclnet.report.figures.distances import plot_distances
from msclnet.report.figures.embedding import plot_embedding
from msclnet.report.figures.losses import plot_losses
from msclnet.report.figures.ranked import plot_ranked
from msclnet.report.figures.studies import plot_study
from msclnet.report.figures.style import Frame
from msclnet.results.studies import FIGURE_6, TABLE_1

SCORES = "scores.json of every training, .../<method>/split<N>/"
RECORDS = "metrics.jsonl of every training, .../<method>/split<N>/"
FEATURES = "features.npz of one split, .../<method>/split<N>/, a method each"
EXPLAINED = "the CSV that explain.py wrote"
STUDY = "the CSV that study.py wrote"
FIGURES = {  # what each shows, and what it is drawn from
    "cmc": ("CMC curves, mean and range over the trials", SCORES),
    "losses": ("the learning rate and each term of the objective", RECORDS),
    "embedding": ("t-SNE of test features", FEATURES),
    "distances": ("distances across modalities, within and between identities", FEATURES),
    "cameras": ("Rank-1 by the pair of cameras", FEATURES),
    "ranked": ("ranked lists of the last method", EXPLAINED),
    "activation": ("class-activation maps over their images", EXPLAINED),
    "study": ("a study's variants, and how far they are from the reference", STUDY),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = parser.add_subparsers(dest="figure", required=True)
    for name, (shows, inputs) in FIGURES.items():
        figure = figures.add_parser(name, help=shows)
        figure.add_argument("--set", required=True, help="the data set's name")
        figure.add_argument("--data", required=True, help="what the images are: the real set's name, or stand-in")
        figure.add_argument("--methods", required=True, nargs="+", help="in the order of the legend")
        figure.add_argument("--inputs", required=True, nargs="+", type=source, help=inputs)
        figure.add_argument("--out", required=True, type=output, help="the figure, .svg or .png: both are written")
    figures.choices["cmc"].add_argument("--ranks", required=True, type=whole(1), help="the last rank")
    embedding = figures.choices["embedding"]
    embedding.add_argument("--identities", required=True, type=whole(1, 7), help="how many, 1 to 7")
    embedding.add_argument("--seed", required=True, type=whole(0), help="of their choice, and of t-SNE")
    for name in ("ranked", "activation"):
        figures.choices[name].add_argument("--pack", required=True, type=source, help="the folder that pack.py wrote")
    figures.choices["study"].add_argument(
        "--beside", choices=(TABLE_1, FIGURE_6), help="what of the paper is shown, too"
    )
    args = parser.parse_args()
    if FIGURES[args.figure][1] in (EXPLAINED, STUDY) and len(args.inputs) > 1:
        figures.choices[args.figure].error(
            f"{len(args.inputs)} files after --inputs; expected one, {FIGURES[args.figure][1]}"
        )
    frame = Frame(args.set, args.data, tuple(args.methods), args.out)
    table = args.inputs[0]
    match args.figure:
        case "cmc":
            plot_cmc(frame, args.ranks, args.inputs)
        case "losses":
            plot_losses(frame, args.inputs)
        case "embedding":
            plot_embedding(frame, args.identities, args.seed, args.inputs)
        case "distances":
            plot_distances(frame, args.inputs)
        case "cameras":
            plot_cameras(frame, args.inputs)
        case "ranked":
            plot_ranked(frame, table, Pack.open(args.pack))
        case "activation":
            plot_activation(frame, table, Pack.open(args.pack))
        case "study":
            plot_study(frame, table, args.beside)


if __name__ == "__main__":
    run(main)
