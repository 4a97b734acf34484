"""Scores the features of a split's test images by the protocol of their data set.

python workflow/scripts/evaluate.py --set regdb --features results/regdb/msclnet/split*/features.npz
python workflow/scripts/evaluate.py --set regdb --features features.npz --split 1 --out scores.json
"""

import argparse
import sys
from pathlib import Path

from msclnet.core.errors import UserError
from msclnet.datasets.permutations import load_permutations
from msclnet.datasets.protocol import llcm_comparisons, regdb_comparisons, sysu_comparisons
from msclnet.evaluation.feature_file import load_split
from msclnet.evaluation.scoring import split_rows
from msclnet.results.layout import split_of
from msclnet.results.scores import write_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, choices=("regdb", "sysu", "llcm"))
    parser.add_argument("--features", required=True, nargs="+", type=Path, help="the .npz of one or more splits")
    parser.add_argument("--split", type=int, help="which the features must be of (default: as their folder split<N>)")
    parser.add_argument("--out", type=Path, help="the file to write (default: scores.json beside the features)")
    parser.add_argument("--rerank", action="store_true", help="k-reciprocal re-ranking")
    parser.add_argument("--draws", type=int, default=10, help="galleries drawn, but for RegDB (default: 10)")
    sysu = parser.add_argument_group("SYSU-MM01")
    sysu.add_argument("--modes", nargs="+", choices=("all", "indoor"), default=["all", "indoor"])
    sysu.add_argument("--shots", nargs="+", type=int, choices=(1, 10), default=[1, 10], help="images per camera")
    sysu.add_argument("--protocol", choices=("community", "official"), default="community", help="how they are drawn")
    sysu.add_argument("--permutations", type=Path, help="exp/rand_perm_cam.mat, for the official protocol")
    args = parser.parse_args()
    if len(args.features) > 1 and (args.split is not None or args.out):
        parser.error("--split and --out go with a single file of features")
    permutations = load_permutations(args.permutations) if args.permutations else None
    for path in args.features:
        split = split_of(path) if args.split is None else args.split
        features = load_split(path, split)
        match args.set:
            case "regdb":
                comparisons = regdb_comparisons(features)
            case "sysu":
                comparisons = sysu_comparisons(
                    features, args.modes, args.shots, args.protocol, args.draws, permutations
                )
            case "llcm":
                comparisons = llcm_comparisons(features, args.draws)
        rows = split_rows(features, split, comparisons, args.rerank)
        write_scores(args.out or path.with_name("scores.json"), split, rows)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
