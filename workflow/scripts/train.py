"""Trains one split by one method. Run by launch.py; ``python train.py ...`` is a single process.

python workflow/scripts/launch.py --device cpu --processes 2 workflow/scripts/train.py \\
    --job job.yaml --pack data/packs/regdb --out x

The same command goes on where a training was interrupted: by a kill, a signal (SIGTERM and SIGINT leave a checkpoint),
an error or, with launch.py's --restarts, the death of one of its processes.
"""

import argparse
import sys

from msclnet.config import TrainJob, build, read_yaml
from msclnet.core.address import VARIABLE, from_environment
from msclnet.core.command import output_folder, run, source, whole
from msclnet.results.layout import DEFAULT, WORK
from msclnet.training import failure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", required=True, help="the training's configuration: a YAML file, or {...} inline")
    parser.add_argument("--pack", required=True, type=source, help="the folder that pack.py wrote")
    parser.add_argument("--out", required=True, type=output_folder, help="for model.pt, metrics.jsonl, config.yaml")
    parser.add_argument("--uri", default=from_environment(), help=f"the live mirror's (default: ${VARIABLE})")
    parser.add_argument("--experiment", default=DEFAULT, help=f"its name on the tracking server (default: {DEFAULT})")
    parser.add_argument("--live-every", default=0.0, type=float, help="seconds between uploads; 0: none (default)")
    parser.add_argument("--checkpoint-every", default=60.0, type=float, help="seconds; 0: every step (default: 60)")
    parser.add_argument(
        "--timeout", default=600.0, type=float, help="seconds to wait for other processes (default: 600)"
    )
    parser.add_argument(
        "--launcher", default=0, type=whole(0), help="process whose end stops the training, at a checkpoint"
    )
    parser.add_argument("--code", default="", help="a name of the code: what it has finished is not trained again")
    parser.add_argument("--anew", action="store_true", help="discard what was trained there; begin at the first step")
    args = parser.parse_args()
    job = build(TrainJob, read_yaml(args.job))
    if failure.failed_for_good(args.out / WORK):
        sys.exit(1)
    from msclnet.training.live_mirror import LiveMirror
    from msclnet.training.trainer import Options, train

    mirror = LiveMirror(args.out, args.uri, args.live_every, args.experiment) if args.live_every else None
    options = Options(args.checkpoint_every, args.timeout, args.launcher, args.code, args.anew, mirror)
    train(job, args.pack, args.out, options)


if __name__ == "__main__":
    run(main)
