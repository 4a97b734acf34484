"""Makes the tracking database ready for trainings that write to it side by side.

python workflow/scripts/track_prepare.py --out results/tracking/ready.json

A server that cannot be reached is reported and noted in the file, with exit status 0: the trainings do not need it,
and track.py sends all later.
"""

import argparse
import json
import sys
from pathlib import Path

from msclnet.core.address import VARIABLE, from_environment
from msclnet.tracking.server import TrackingError, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", default=from_environment(), help=f"tracking URI (default: ${VARIABLE}, or mlflow.db)")
    parser.add_argument("--out", required=True, type=Path, help="the JSON to write")
    args = parser.parse_args()
    try:
        prepare(args.uri)
        ready: dict[str, object] = {"ready": True}
    except TrackingError as error:
        print(f"warning: {error}. The trainings go on; track.py sends them later", file=sys.stderr)
        ready = {"ready": False, "error": str(error)}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(ready, indent=2) + "\n")


if __name__ == "__main__":
    main()
