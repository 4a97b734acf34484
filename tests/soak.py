"""The workflow under random SIGKILLs until it completes, then every table and model against an undisturbed run's.

    python tests/soak.py --every 20 --kills 40 --seed 0

The victims are drawn from all processes of the run: Snakemake, its shells, torchrun, its workers, the other jobs and
what survives any of them. After each end of Snakemake it is started again at once. Prints each difference, and exits
with 1 where there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
MARK = "MSCLNET_SOAK"  # in the environment of every process of a run
COMPARED = ("results/**/*.csv", "results/**/scores.json", "results/**/model.pt", "data/packs/*/*")
OWN = ("benchmarks", "verified.json")  # of a run: times


def command(folder: Path, configs: list[str], *more: str) -> list[str]:
    return ["snakemake", "--directory", str(folder), "--cores", "2", "--configfile", *configs, *more]


def processes(mark: str) -> list[psutil.Process]:
    """All that are left of a run, by what they inherited."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def kind(process: psutil.Process) -> str:
    """What a victim was, for the count."""
    words = " ".join(process.cmdline())
    names = {"msclnet.launch.elastic": "torchrun", "/train.py": "train.py", "snakemake": "snakemake"}
    script = next((word for word in words.split() if "/workflow/scripts/" in word), "")
    if process.name() == "bash":
        return "shell"
    return next((name for sign, name in names.items() if sign in words), Path(script).name or process.name())


def disturbed(
    folder: Path, configs: list[str], every: float, kills: int, rng: random.Random
) -> tuple[Counter[str], int]:
    """Runs the workflow to its end under ``kills`` kills, on average one in ``every`` seconds."""
    mark, killed, starts = f"{os.getpid()}", Counter[str](), 0
    environment = os.environ | {MARK: mark}
    log = (folder / "soak.log").open("a")
    while True:
        starts += 1
        subprocess.run(command(folder, configs, "--unlock"), cwd=ROOT, stdout=log, stderr=log, check=True)
        run = subprocess.Popen(command(folder, configs), cwd=ROOT, stdout=log, stderr=log, env=environment)
        while run.poll() is None:
            try:
                run.wait(rng.expovariate(1 / every) if killed.total() < kills else None)
            except subprocess.TimeoutExpired:
                victim = rng.choice(processes(mark) or [psutil.Process(run.pid)])
                try:
                    name = kind(victim)
                    victim.kill()
                except psutil.NoSuchProcess:
                    continue
                killed[name] += 1
                print(f"{time.strftime('%H:%M:%S')} start {starts}, kill {killed.total()}: {name}", flush=True)
        if run.returncode == 0:
            return killed, starts


def digests(folder: Path) -> dict[str, str]:
    paths = {path for pattern in COMPARED for path in folder.glob(pattern) if not {*OWN} & {*path.parts}}
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", nargs="+", default=[str(ROOT / "tests/workflow/tiny.yaml")])
    parser.add_argument("--every", type=float, default=20, help="mean seconds between two kills (default: 20)")
    parser.add_argument("--kills", type=int, default=40, help="after these it is left alone (default: 40)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where both runs are kept (default: a temporary one)")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    undisturbed, shaken = folder / "undisturbed", folder / "disturbed"
    for run in (undisturbed, shaken):
        run.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (undisturbed / "soak.log").open("a") as log:
        subprocess.run(command(undisturbed, args.configfile), cwd=ROOT, stdout=log, stderr=log, check=True)
    between = time.monotonic()
    killed, starts = disturbed(shaken, args.configfile, args.every, args.kills, random.Random(args.seed))
    expected, found = digests(undisturbed), digests(shaken)
    print(f"{between - began:.0f} s undisturbed; {time.monotonic() - between:.0f} s under {killed.total()} kills:")
    print(f"  {', '.join(f'{count} {name}' for name, count in killed.most_common())}; {starts} starts of Snakemake")
    kinds = Counter(Path(name).suffix for name in expected)
    print(f"compared {len(expected)} files: {', '.join(f'{count} {suffix}' for suffix, count in kinds.most_common())}")
    different = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    print(f"{len(different)} differences", *sorted(different), sep="\n  ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
