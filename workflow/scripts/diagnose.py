"""Says what each term of the objective does to a model: its size, its gradient's norm and cosine, and the spread.

python workflow/scripts/diagnose.py --job results/regdb/msclnet/split1/config.yaml --pack data/packs/regdb \\
    --model results/regdb/msclnet/split1/model.pt

Without --model the network is the one before its first step.
"""

import argparse

from msclnet.config import TrainJob, build, read_yaml
from msclnet.core.command import run, source, whole
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.model.files import load_model
from msclnet.results.tables import readable
from msclnet.training.diagnosis import diagnose
from msclnet.training.learner import build_network
from msclnet.training.trainer import recipe
from msclnet.training.validation import held_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", required=True, help="the config.yaml beside a training's model, or {...} inline")
    parser.add_argument("--pack", required=True, type=source, help="the folder that pack.py wrote")
    parser.add_argument("--model", type=source, help="model.pt of that training (default: before its first step)")
    parser.add_argument("--batches", type=whole(1), default=8, help="looked at (default: 8)")
    args = parser.parse_args()
    job = build(TrainJob, read_yaml(args.job))
    pack = Pack.open(args.pack)
    pack.require_size((job.height, job.width), "the training")
    images = TrainingImages(pack, recipe(job, held_out(job, pack)))
    network = load_model(args.model) if args.model else build_network(job, len(images.identities))
    pulls, geometry = diagnose(network, images, job, args.batches)
    print(f"Gradients of theta, each term's times its weight; mean over {args.batches} batches.")
    print(readable([pull._asdict() for pull in pulls]))
    print(readable([line._asdict() for line in geometry]))


if __name__ == "__main__":
    run(main)
