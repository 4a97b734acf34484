"""The graph of the workflow's rules in README.md, from the code.

python tools/rulegraph.py            writes it (`make graph`)
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)
ASK = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--quiet", "all", "--rulegraph", "mermaid-js"]
Edges = set[tuple[str, str]]


def snakemakes(folder: Path) -> str:
    """What Snakemake draws of the default configuration; ``folder`` is an empty one, where nothing is done yet."""
    return subprocess.run(ASK, cwd=folder, check=True, capture_output=True, text=True).stdout


def readmes(drawn: str) -> str:
    """Snakemake's graph as the README shows it: in one order, without colours, and without what follows.

    An edge is left out where a longer way leads from the one rule to the other; so is `all`, to which all leads.
    """
    names = dict(re.findall(r"^\s*(id\d+)\[(.*)\]$", drawn, re.MULTILINE))
    found = re.findall(r"^\s*(id\d+) --> (id\d+)$", drawn, re.MULTILINE)
    edges = {(names[a], names[b]) for a, b in found if names[b] != "all"}
    if not edges:
        raise ValueError(f"no edge between rules in what Snakemake drew:\n{drawn}")
    kept = sorted((a, b) for a, b in edges if not _reaches(edges - {(a, b)}, a, b))
    return "flowchart TB\n" + "".join(f"    {a} --> {b}\n" for a, b in kept)


def _reaches(edges: Edges, start: str, end: str) -> bool:
    return start == end or any(_reaches(edges, b, end) for a, b in edges if a == start)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        graph = readmes(snakemakes(Path(folder)))
    README.write_text(BLOCK.sub(lambda _: graph, README.read_text(encoding="utf-8"), count=1), encoding="utf-8")
