"""Embeds each test image of a split once with each of some trained models.

python workflow/scripts/features.py --model results/x/model.pt --pack data/packs/regdb --split 1 --out features.npz
"""

import argparse

from msclnet.core.command import output, run, source, whole
from msclnet.data.pack import Pack
from msclnet.evaluation.embedding import extract
from msclnet.evaluation.feature_file import save_features
from msclnet.model.files import load_model
from msclnet.training.process_group import processes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", required=True, nargs="+", type=source, help="model.pt of a training, or of an import"
    )
    parser.add_argument("--pack", required=True, type=source, help="the folder that pack.py wrote")
    parser.add_argument("--split", required=True, type=whole(1), help="whose test images are embedded")
    parser.add_argument("--batch", default=128, type=whole(1), help="images embedded at once (default: 128)")
    parser.add_argument("--flip", action="store_true", help="average the features of an image and its mirror image")
    parser.add_argument("--threads", default=1, type=whole(1), help="CPU threads (default: 1)")
    parser.add_argument("--out", required=True, nargs="+", type=output, help="the .npz to write, one a model")
    args = parser.parse_args()
    if len(args.model) != len(args.out):
        parser.error(f"{len(args.model)} files after --model and {len(args.out)} after --out; expected as many")
    with processes(args.threads) as process:
        for model, out in zip(args.model, args.out, strict=True):
            network, pack = load_model(model), Pack.open(args.pack)
            features = extract(network, pack, args.split, args.batch, process.device, args.flip)
            save_features(out, features, args.split)


if __name__ == "__main__":
    run(main)
