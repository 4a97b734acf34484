"""Trains one split by one method. Run by torchrun; ``python train.py ...`` is a single process.

torchrun --standalone --nproc-per-node 2 workflow/scripts/train.py --job job.yaml --pack data/packs/regdb --out x
"""

import argparse
import sys
from pathlib import Path

from msclnet.config import TrainJob, build, read_yaml
from msclnet.record import Live
from msclnet.train import train
from msclnet.types import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", required=True, help="the training's configuration: a YAML file, or {...} inline")
    parser.add_argument("--pack", required=True, type=Path, help="the folder that pack.py wrote")
    parser.add_argument("--out", required=True, type=Path, help="where model.pt, metrics.jsonl, config.yaml go")
    parser.add_argument("--uri", default="", help="MLflow tracking URI of the live mirror")
    parser.add_argument("--live-every", default=0.0, type=float, help="seconds between uploads; 0: none (default)")
    args = parser.parse_args()
    live = Live(args.uri, args.live_every) if args.live_every else None
    train(build(TrainJob, read_yaml(args.job)), args.pack, args.out, live)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
