"""Scores the features of a split's test images by the protocol of their data set.

python workflow/scripts/evaluate.py --set regdb --features results/regdb/msclnet/split1/features.npz --out scores.json
python workflow/scripts/evaluate.py --set sysu --features features.npz --split 1 --out scores.json \\
    --options '{modes: [all], shots: [1], protocol: official, draws: 10}' --root /data/SYSU-MM01
"""

import argparse

from msclnet.config.evaluation import evaluation
from msclnet.core.command import output, run, source, whole
from msclnet.datasets.table import SETS
from msclnet.evaluation.feature_file import load_split
from msclnet.evaluation.scoring import require_cameras, split_rows
from msclnet.results.layout import split_of
from msclnet.results.scores import write_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--features", required=True, nargs="+", type=source, help="the .npz of one or more splits")
    parser.add_argument(
        "--split", type=whole(1), help="which the features must be of (default: as their folder split<N>)"
    )
    parser.add_argument("--out", type=output, help="the file to write (default: scores.json beside the features)")
    parser.add_argument("--rerank", action="store_true", help="k-reciprocal re-ranking")
    parser.add_argument("--options", default="{}", help="`evaluate.<set>`: a YAML file, or {...} inline (default: all)")
    parser.add_argument("--root", type=source, help="the set's folder, where its protocol reads a file of it")
    args = parser.parse_args()
    if len(args.features) > 1 and (args.split is not None or args.out):
        parser.error("--split and --out go with a single file of features")
    data_set = SETS.get(args.set)
    options = evaluation(data_set, args.options)
    for path in args.features:
        split = split_of(path) if args.split is None else args.split
        features = load_split(path, split)
        require_cameras(data_set, features)
        rows = split_rows(features, split, data_set.comparisons(features, options, args.root), args.rerank)
        write_scores(args.out or path.with_name("scores.json"), split, rows)


if __name__ == "__main__":
    run(main)
