"""Runs a script on devices of its own: by torchrun's agent where it has processes, on each node of its Slurm job.

python workflow/scripts/launch.py --device gpu --processes 2 workflow/scripts/train.py --job job.yaml ...
"""

import argparse
import os

from msclnet.core.command import run, whole
from msclnet.launch.torchrun import Layout, launch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("gpu", "cpu"), required=True, help="gpu: one a process")
    parser.add_argument(
        "--share",
        type=whole(1),
        default=1,
        help="jobs of one GPU that may be on it at once (default: 1, none is shared)",
    )
    parser.add_argument(
        "--processes", type=whole(1), help="of all nodes, by torchrun's agent; without it the script alone"
    )
    parser.add_argument("--nodes", type=whole(1), default=1, help="of the Slurm job this runs in (default: 1)")
    parser.add_argument("--threads", type=whole(1), default=os.cpu_count() or 1, help="cores on a node (default: all)")
    parser.add_argument("--restarts", type=whole(0), default=0, help="after a process has died (default: none)")
    parser.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        help="seconds of a wait, or of a step, after which all end (default: 600)",
    )
    parser.add_argument("--rendezvous", help="host:port where the nodes meet; given by the first node's launch")
    parser.add_argument("script", nargs=argparse.REMAINDER, help="the script and its arguments")
    args = parser.parse_args()
    if not args.script:
        parser.error("name a script")
    layout = Layout(args.device, args.processes, args.nodes, args.threads, args.restarts, args.timeout, args.share)
    launch(args.script, layout, args.rendezvous)


if __name__ == "__main__":
    run(main)
