"""Trains one split by one method. Run by torchrun; ``python train.py ...`` is a single process.

torchrun --standalone --nproc-per-node 2 workflow/scripts/train.py --job job.yaml --pack data/packs/regdb --out x

The same command goes on where a training was interrupted: by a kill, a signal (SIGTERM and SIGINT leave a checkpoint),
an error or, with torchrun's --max-restarts, the death of one of its processes.
"""

import argparse
import sys
from pathlib import Path

from msclnet.config import TrainJob, build, read_yaml
from msclnet.core.errors import UserError
from msclnet.training import failure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", required=True, help="the training's configuration: a YAML file, or {...} inline")
    parser.add_argument("--pack", required=True, type=Path, help="the folder that pack.py wrote")
    parser.add_argument("--out", required=True, type=Path, help="where model.pt, metrics.jsonl, config.yaml go")
    parser.add_argument("--uri", default="", help="MLflow tracking URI of the live mirror")
    parser.add_argument("--live-every", default=0.0, type=float, help="seconds between uploads; 0: none (default)")
    parser.add_argument("--checkpoint-every", default=60.0, type=float, help="seconds; 0: every step (default: 60)")
    parser.add_argument(
        "--timeout", default=600.0, type=float, help="seconds to wait for other processes (default: 600)"
    )
    parser.add_argument("--launcher", default=0, type=int, help="process whose end stops the training, at a checkpoint")
    parser.add_argument("--terminal", default=0, type=int, help="process on whose terminal, too, the progress is shown")
    parser.add_argument("--code", default="", help="a name of the code: what it has finished is not trained again")
    args = parser.parse_args()
    job = build(TrainJob, read_yaml(args.job))
    if failure.failed_for_good(args.out / "work"):
        sys.exit(1)
    from msclnet.training.live_mirror import LiveMirror
    from msclnet.training.trainer import train

    train(
        job,
        args.pack,
        args.out,
        LiveMirror(args.uri, args.live_every) if args.live_every else None,
        checkpoint_every=args.checkpoint_every,
        timeout=args.timeout,
        launcher=args.launcher,
        terminal=Path(f"/proc/{args.terminal}/fd/2") if args.terminal else None,
        code=args.code,
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
