from collections.abc import Callable
from typing import NamedTuple


class Drawn(NamedTuple):
    """What a figure is drawn from, and what else plot.py is told for it."""

    title: str  # in the report
    files: Callable  # of wildcards
    methods: list = CONFIG.run.methods
    more: str = ""


def table(figure):
    return lambda wildcards: [HERE.figure(wildcards.set, figure, "csv")]


FEATURES = first_split(layout.FEATURES)
SAMPLE = f"--identities {CONFIG.figures.identities} --seed {CONFIG.seed}"
FIGURES = {
    "cmc": Drawn("CMC", files(layout.SCORES, METHODS), METHODS, f"--ranks {CONFIG.figures.ranks}"),
    "losses": Drawn("losses", files(layout.METRICS, CONFIG.run.methods)),
    "embedding": Drawn("t-SNE", FEATURES, more=SAMPLE),
    "distances": Drawn("distances", FEATURES),
    "cameras": Drawn("camera pairs", FEATURES),
    "ranked": Drawn("ranked lists", table("ranked"), CONFIG.run.methods[-1:]),
    "activation": Drawn("activation maps", table("activation")),
}
PHOTOGRAPHS = ("ranked", "activation")  # show images of the pack, of which explain.py writes the numbers


def code_of_figure(name):
    """The code behind a figure: what all share, and its own module. An edit of another one redraws nothing."""
    others = sorted({*FIGURES, "studies"} - {name})
    return code("plot", without=(*UNDECISIVE, *(f"msclnet.report.figures.{other}" for other in others)))


def pack_shown(name):
    """The pack whose images a figure shows, if any."""
    return lambda wildcards: pack_of(wildcards.set) if name in PHOTOGRAPHS else []


def more_for(name):
    """What else plot.py is told for a figure."""
    return lambda wildcards: (
        f"--pack {shared.pack(CONFIG, wildcards.set)}" if name in PHOTOGRAPHS else FIGURES[name].more
    )


def beside(name):
    """How the files beside a figure end: the numbers of photographs were there before it."""
    return [OTHER] if name in PHOTOGRAPHS else [OTHER, "csv"]
