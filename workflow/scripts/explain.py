"""The numbers behind the figures of single images: ranked lists, and class-activation maps; CSV.

python workflow/scripts/explain.py --set regdb --methods agw msclnet --pack data/packs/regdb --queries 2 --seed 0 \\
    --models results/regdb/{agw,msclnet}/split1/model.pt --features results/regdb/{agw,msclnet}/split1/features.npz \\
    --ranked ranked.csv --activation activation.csv
"""

import argparse

from msclnet.config.evaluation import evaluation
from msclnet.core.command import output, run, source, whole
from msclnet.data.pack import Pack
from msclnet.datasets.table import SETS
from msclnet.evaluation.feature_file import load_split
from msclnet.evaluation.scoring import require_cameras
from msclnet.model.files import load_model
from msclnet.report.explain.activation import activation_maps
from msclnet.report.explain.ranked import ranked_lists
from msclnet.report.figures.numbers import write_numbers
from msclnet.report.figures.tables import ActivationCell, RankedImage
from msclnet.results.layout import split_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--methods", required=True, nargs="+", help="in the order of the figures")
    parser.add_argument(
        "--models", required=True, nargs="+", type=source, help="the model.pt of each method, one split"
    )
    parser.add_argument("--features", required=True, nargs="+", type=source, help="the features.npz of each method")
    parser.add_argument("--pack", required=True, type=source, help="the folder that pack.py wrote")
    parser.add_argument(
        "--queries", required=True, type=whole(1), help="of each kind: best, worst, random; and identities"
    )
    parser.add_argument("--seed", required=True, type=whole(0), help="of the random choice")
    parser.add_argument(
        "--options", help="`evaluate.<set>`: a YAML file, or {...} inline (default: one comparison of each)"
    )
    parser.add_argument("--root", type=source, help="the set's folder, where its protocol reads a file of it")
    parser.add_argument("--ranked", required=True, type=output, help="the CSV of ranked lists to write")
    parser.add_argument("--activation", required=True, type=output, help="the CSV of activation maps to write")
    args = parser.parse_args()
    if not len(args.methods) == len(args.models) == len(args.features):
        parser.error("--methods, --models and --features must be as many")
    data_set = SETS.get(args.set)
    options = evaluation(data_set, args.options or data_set.listed)
    pack = Pack.open(args.pack)
    places: list[RankedImage] = []
    cells: list[ActivationCell] = []
    for method, model, path in zip(args.methods, args.models, args.features, strict=True):
        split = split_of(path)
        features = load_split(path, split)
        require_cameras(data_set, features)
        comparisons = data_set.comparisons(features, options, args.root)
        places += ranked_lists(data_set, method, features, comparisons, args.queries, args.seed)
        cells += activation_maps(method, load_model(model), pack, split, 2 * args.queries, args.seed)
    write_numbers(args.ranked, RankedImage._fields, places)
    write_numbers(args.activation, ActivationCell._fields, cells)


if __name__ == "__main__":
    run(main)
