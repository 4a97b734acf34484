"""Tables of a data set from the scores of its trainings; prints the summary.

python workflow/scripts/aggregate.py --set regdb --data stand-in --methods untrained agw msclnet \\
    --scores results/regdb/*/split*/scores.json --trials trials.csv --summary summary.csv
"""

import argparse

from msclnet.core.command import output, run, source
from msclnet.report.summary_page import write_page
from msclnet.results.captions import paired_words, spread
from msclnet.results.in_print import SELECTION
from msclnet.results.tables import differences, readable, summary, trials, write_csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--data", required=True, help="what the images are: the real set's name, or stand-in")
    parser.add_argument("--methods", required=True, nargs="+", help="in the order of the tables' rows")
    parser.add_argument("--scores", required=True, nargs="+", type=source, help=".../<method>/split<N>/scores.json")
    parser.add_argument("--trials", required=True, type=output, help="the CSV of every trial to write")
    parser.add_argument("--summary", required=True, type=output, help="the CSV of means over trials to write")
    parser.add_argument(
        "--differences", type=output, help="the CSV of how far each two methods are apart to be written, too"
    )
    parser.add_argument("--page", type=output, help="the summary as HTML, to be written, too")
    args = parser.parse_args()
    rows = trials(args.set, args.data, args.methods, args.scores)
    table = summary(args.set, rows)
    write_csv(args.trials, rows)
    write_csv(args.summary, table)
    apart = differences(rows)
    if args.differences:
        if not apart:
            parser.error(f"--differences: found the method {', '.join(args.methods)} alone; expected two or more")
        write_csv(args.differences, apart)
    if args.page:
        write_page(args.page, args.set, table, apart)
    print(f"Percent, {spread(args.set, table[0]['trials'])} (+-). {SELECTION}")
    print(readable(table))
    if apart:
        print(f"\n{paired_words(args.set, apart[0]['pairs'])}")
        print(readable(apart))


if __name__ == "__main__":
    run(main)
