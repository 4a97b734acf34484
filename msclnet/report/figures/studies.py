"""The paper's two studies drawn: Table 1 as points, and Figure 6 as curves. Their numbers are in their tables."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from msclnet.report.figures.style import COLOURS, STYLES, Frame, layout
from msclnet.results.captions import over
from msclnet.results.studies import PRINTED_ON, PRINTED_WEIGHTS
from msclnet.results.tables import read_csv

MEASURED = ("seeds", "rank1", "rank1_std", "mAP", "mAP_std")


def plot_ablation(frame: Frame, table: Path) -> None:
    """Table 1: the rows of ``ablation.csv``, mean and standard deviation over the seeds, beside the paper's numbers.

    A panel of ours and one of the paper's, each with its own scale: the images are not the same. Raises DataError for
    an unusable table.
    """
    rows = read_csv(table, ("losses", *MEASURED, "paper_rank1", "paper_mAP"), "study.py")
    labels = [row["losses"] for row in rows]
    with layout():
        figure = Figure(figsize=(10.5, 6.6), layout="constrained")
        ours, paper = figure.subplots(1, 2, sharey=True)
        for column, label, colour, marker in (("rank1", "Rank-1", COLOURS[0], "o"), ("mAP", "mAP", COLOURS[1], "s")):
            look = {"color": colour, "marker": marker, "linestyle": "none", "label": label, "markersize": 7}
            spread = [float(row[f"{column}_std"] or 0) for row in rows]
            ours.errorbar([float(row[column]) for row in rows], labels, xerr=spread, capsize=3, **look)
            paper.plot([float(row[f"paper_{column}"]) for row in rows], labels, **look)
        ours.invert_yaxis()
        seeds = over(int(rows[0]["seeds"]), "seed", "mean and standard deviation")
        ours.set(title=f"{frame.title}\n{seeds}", xlabel="percent")
        paper.set(title=f"the paper, on the real {PRINTED_ON}\none run", xlabel="percent")
        figure.suptitle(f"Table 1: terms added to the baseline B, up to {frame.methods[-1]}")
        handles, names = paper.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
        frame.save(figure)


def plot_sensitivity(frame: Frame, table: Path) -> None:
    """Figure 6: Rank-1 and mAP of ``sensitivity.csv`` against each lambda; the paper's choice is a dotted line.

    Bars are standard deviations over the seeds. Raises DataError for an unusable table.
    """
    rows = read_csv(table, ("term", "weight", *MEASURED), "study.py")
    terms = list(dict.fromkeys(row["term"] for row in rows))
    with layout():
        figure = Figure(figsize=(9.5, 7.4), layout="constrained")
        grid = list(figure.subplots(2, 2, sharex=True, sharey=True).flat)
        for axes, term in zip(grid, terms, strict=True):
            curve = [row for row in rows if row["term"] == term]
            at = [float(row["weight"]) for row in curve]
            for place, (column, label) in enumerate((("rank1", "Rank-1"), ("mAP", "mAP"))):
                values = [float(row[column]) for row in curve]
                spread = [float(row[f"{column}_std"] or 0) for row in curve]
                look = {"color": COLOURS[place], "linestyle": STYLES[place], "marker": "os"[place]}
                axes.errorbar(at, values, yerr=spread, capsize=3, label=label, **look)
            axes.axvline(PRINTED_WEIGHTS[term], color="#808080", linestyle=":", label="the paper's choice")
            axes.set_title(f"$\\lambda_{{{term}}}$")
            axes.set(xlabel="weight", ylabel="percent")
            axes.label_outer()
        figure.suptitle(f"Figure 6: {frame.title}, {over(int(rows[0]['seeds']), 'seed', 'mean')}")
        handles, names = grid[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
        frame.save(figure)
