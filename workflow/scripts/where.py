"""Prints the headline of an experiment's tables, where its results lie and how to look at them.

python workflow/scripts/where.py [--configfile FILES...] [--config KEY=VALUE...]

The experiment is the one that Snakemake takes from the same words; what else Snakemake understands is passed over.
With --folder: only the folder of its results.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from msclnet.config import merge, read_yaml
from msclnet.core import yaml_text
from msclnet.core.command import run
from msclnet.core.errors import ConfigError
from msclnet.results.captions import equal_words, spread
from msclnet.results.in_print import SELECTION
from msclnet.results.layout import Layout, experiment
from msclnet.results.scores import HEADLINE
from msclnet.results.tables import condensed, read_csv, readable

CONFIGURATION = Path(__file__).parents[2] / "config/config.yaml"  # what the Snakefile begins with


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[], help="laid over the default, in order")
    parser.add_argument("--config", "-C", nargs="*", default=[], metavar="KEY=VALUE", help="laid over the files")
    parser.add_argument("--folder", action="store_true", help="print only the folder of the results")
    args, _ = parser.parse_known_args()
    layout = Layout(name_of(args.configfile, args.config))
    if args.folder:
        print(layout.root)
    else:
        print_results(layout)


def name_of(files: Sequence[str], pairs: Sequence[str]) -> str:
    """The experiment's, of the configuration that Snakemake makes of these words; ConfigError where they are none."""
    values = read_yaml(str(CONFIGURATION))
    for file in files:
        values = merge(values, read_yaml(file) or {})
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError(f"--config {pair}: expected KEY=VALUE, e.g. run='{{name: wide}}'")
        values = merge(values, {key: yaml_text.words(value)})
    run = values.get("run")
    return str((isinstance(run, dict) and run.get("name")) or experiment(files))


def print_results(layout: Layout) -> None:
    pattern = layout.table("*", "summary")
    summaries = sorted(Path().glob(pattern))
    for summary in summaries:
        name = summary.name.removesuffix(Path(pattern).name.removeprefix("*"))
        rows = read_csv(summary, ("feature", "trials"), "aggregate.py")
        mine = [row for row in rows if row["feature"] == HEADLINE]
        heads, body = condensed(mine)
        print(f"\n{summary}, the BN feature; percent, {spread(name, int(mine[0]['trials']))}, in brackets:")
        print(text := readable([dict(zip(heads, cells, strict=True)) for cells in body]))
        if said := equal_words(name, text):
            print(said)
    if summaries:
        print(f"\npaper_*: in print, of the real set. {SELECTION}")
    here = Path.cwd()
    print("\nTables:")
    for table in sorted(Path(layout.root).glob("*.csv")):
        print(f"  {here / table}")
    print(f"Report:   {here / layout.report}")
    print(f"Logs:     {here / layout.logs}")
    print(f"Tracking: {here / 'mlflow.db'}")
    print("Browse the runs with:  make ui")


if __name__ == "__main__":
    run(main)
