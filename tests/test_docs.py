"""The pages: links lead somewhere, commands parse, configurations build, examples run; and the site builds."""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from msclnet.cli import main
from msclnet.config import Config, build, merge, plain, read_yaml
from tests.conftest import ROOT
from tests.datasets import trees
from tests.inference.conftest import job as job
from tests.inference.conftest import model as model
from tools import commands, rulegraph

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "config/README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)
NEW_LOSS = "docs/how-to/loss.md"
NEW_SET = "docs/how-to/data-set.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
KEY = re.compile(r"(\w+)(\.\w+)+(?<!\.py)(?<!\.pt)(?=$|:)")  # of the configuration, perhaps with a value; no file
LINK = re.compile(r"\]\(([^)\s]+)\)")
OTHERS = {".", "docker", "pip", "pre-commit", "pytest"}  # programs whose command lines are not ours to parse


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(text_of(page)) if found == language]


def prose(page: str) -> str:
    return BLOCK.sub("", text_of(page))


# Links --------------------------------------------------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in LINK.findall(SPAN.sub("", prose(page).replace("[`", "[").replace("`]", "]"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        assert (ROOT / target).exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}: no such heading"


# Commands -----------------------------------------------------------------------------------------------------------


def command_lines(page: str) -> Iterator[list[str]]:
    """Each command of a page's shell blocks, and each whole `snakemake ...` and `python ...` in its text, as words."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    lines += [span for span in SPAN.findall(prose(page)) if re.match(r"(snakemake|python) \S", span)]
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            yield words


@cache
def parser_of(path: str):
    return commands.parser_of(ROOT / path)


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page: str) -> None:
    for program, *arguments in command_lines(page):
        line = shlex.join([program, *arguments])
        try:
            match program:
                case "msclnet":
                    parser_of("msclnet/cli.py").parse_args(arguments)
                case "python" if "argparse" not in (ROOT / arguments[0]).read_text():
                    assert arguments[1:] == [], line
                case "python":
                    parser_of(arguments[0]).parse_args(arguments[1:])
                case "snakemake":
                    parsed = get_argument_parser().parse_args(arguments)
                    taken = [str(path) for path in parsed.configfile or []]  # it takes all words up to the next option
                    assert all(path.endswith(".yaml") for path in taken), f"{page}: {line}: put -- before the targets"
                case "make":
                    assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
                case _:
                    assert program in OTHERS, f"{page}: {line}"
        except SystemExit:
            pytest.fail(f"{page}: {line}")


def test_commands_named_in_the_text_exist() -> None:
    known = commands.commands_of(parser_of("msclnet/cli.py"))
    named = {name for page in PAGES for name in re.findall(r"`msclnet ([a-z-]+)", text_of(page))}
    assert {"evaluate", "import"} <= named <= known.keys()


NAMED_FILE = re.compile(r"[\w./-]*\w\.[a-z]\w{0,11}|[\w.-]+/[\w./-]+")  # lr.yaml, config/paper.yaml, results/regdb
MADE = re.compile(r"(results|mlflow\.db|site|\.venv)(/|$)")  # by make run, make docs


@pytest.mark.parametrize("page", PAGES)
def test_commands_name_files_that_exist(page: str) -> None:
    """Each is in the repository, or is made: by a run, a command above, Python, or a block that begins with its name.

    The reader's own files are absolute: /data/RegDB.
    """
    known = set(re.findall(r"^# (\S+\.(?:yaml|py))$", text_of(page), re.MULTILINE))
    known |= {name for block in blocks(page, "python") for name in re.findall(r'savemat\("(.+?)"', block)}
    for line in command_lines(page):
        if line[0] in OTHERS - {"pytest"}:
            continue
        out = {line[i + 1] for i, word in enumerate(line[:-1]) if word == "--out"}
        out |= {line[-1]} if line[:2] == ["msclnet", "export-npy"] else set()
        for word in {word for word in line[1:] if NAMED_FILE.fullmatch(word)} - out - known:
            found = (ROOT / word).exists() or MADE.match(word) or word.startswith("/")
            assert found, f"{page}: {shlex.join(line)}: {word}"
        known |= out


WRITES = {"--out", "--trials", "--summary", "--page", "--ranked", "--activation"}  # the options that name a new file
FINISHED = re.compile(r"(results|data/packs|data/stand-in|mlartifacts|mlruns)/|mlflow\.db")  # what a run leaves


def examples_of_scripts() -> Iterator[list[str]]:
    """Each command in the docstring of a script; the page of commands shows them."""
    for path in commands.SCRIPTS:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("python "):
                yield shlex.split(line.replace("[", "").replace("]", ""))


def test_no_example_writes_over_what_a_run_has_finished() -> None:
    lines = [line for page in PAGES for line in command_lines(page)] + list(examples_of_scripts())
    assert len(lines) > 80
    for words in lines:
        written = [word for option, word in pairwise(words) if option in WRITES]
        assert not list(filter(FINISHED.match, written)), shlex.join(words)
        if words[1:2] == ["workflow/scripts/evaluate.py"]:
            assert written, f"{shlex.join(words)}: without --out it writes beside the features"


# The first page ------------------------------------------------------------------------------------------------------


def paragraphs(page: str) -> list[str]:
    """What is read in one piece: paragraphs and entries of lists, without tables and blocks."""
    pieces = re.split(r"\n\s*\n|\n(?=- |\d+\. )", prose(page))
    return [piece.strip() for piece in pieces if piece.strip() and not piece.lstrip().startswith("|")]


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").split()) <= 900
    for paragraph in paragraphs("README.md"):
        assert len(paragraph.split()) <= 80, paragraph[:60]


def test_the_readme_opens_with_what_a_newcomer_needs() -> None:
    """A sentence, a picture, three links, cost, command, table, what is not proven; then one's own data."""
    order = [
        "Find in infrared images",
        "](docs/images/ranked_list.png)",
        "[Paper](https://doi.org/10.1007/978-3-031-19781-9_27)",
        "[Documentation](#documentation)",
        "[Licence](LICENSE)",
        "6.7 GB, 3.2 GB of it CUDA",
        "\nmake run\n",
        "| data | method |",
        "What is not proven",
        "No GPU.",
        "No real set.",
        "CA alone",
        "## Your own data",
        "## How it works",
    ]
    places = [text_of("README.md").find(words) for words in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)
    assert text_of("README.md").count("| data | method |") == 1


def test_the_workflow_is_six_boxes() -> None:
    picture = (ROOT / "docs/images/workflow.svg").read_text(encoding="utf-8")
    boxes = re.findall(r'class="name"[^>]*>(\w+)<', picture)
    assert boxes == ["Check", "Pack", "Train", "Embed", "Score", "Report"]
    described = re.search(r"!\[Six steps: (.*)\]\(docs/images/workflow.svg\)", text_of("README.md"))
    assert described
    assert all(box.lower() in described[1] for box in boxes)


def test_the_paper_is_cited_as_the_citation_file_cites_it() -> None:
    (paper,) = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    (entry,) = blocks("README.md", "bibtex")
    fields = dict(re.findall(r"^  (\w+) += \{(.*)\},?$", entry, re.MULTILINE))
    authors = " and ".join(f"{author['family-names']}, {author['given-names']}" for author in paper["authors"])
    assert fields == {
        "title": paper["title"].strip(),
        "author": authors,
        "booktitle": paper["conference"]["name"],
        "year": str(paper["year"]),
        "doi": paper["doi"],
    }


# What was measured ----------------------------------------------------------------------------------------------------


def numbers(row: dict[str, str]) -> set[str]:
    """A row of a recorded table as the pages write it: a mean with its spread, a difference with its interval."""
    found = set()
    for name, mean in row.items():
        if f"{name}_std" in row:
            spread = row[f"{name}_std"]
            found.add(f"{mean} ({spread})" if spread else mean)
        if name.endswith("_diff") and mean:
            low, high = (row[name.replace("_diff", end)] for end in ("_low", "_high"))
            found.add(f"{float(mean):+.2f}" + (f" ({float(low):+.2f} to {float(high):+.2f})" if low else ""))
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if "how-to" in page and "studies/" in text_of(page)])
def test_recorded_tables_say_what_their_files_say(page: str) -> None:
    """Each row whose second cell is a method or a variant of a linked file has numbers of its rows alone."""
    links = [link for link in LINK.findall(prose(page)) if link.endswith(".csv")]
    known: dict[str, set[str]] = {}
    for link in links:
        with (ROOT / page).parent.joinpath(link).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                first = row.get("method") or row.get("losses") or row["value"]
                label = f"{first} less {row['less']}" if "less" in row else first
                known.setdefault(label, set()).update(numbers(row))
    rows = [line.strip("| ").split(" | ") for line in prose(page).splitlines() if line.startswith("| stand-in |")]
    assert rows
    for _, label, *cells in rows:
        measured = [cell for cell in cells if re.search(r"\d\.\d", cell) and not cell.startswith("from ")]
        assert measured, label
        assert set(measured) <= known[label], f"{page}: {label}"


# Configurations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (NEW_LOSS, NEW_SET) and blocks(page, "yaml")])
def test_configurations_build_over_the_default(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("regdb", "sysu", "llcm"):  # a page has the real sets' own lists here
        (tmp_path / "lists" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "yaml"):
        build(Config, merge(read_yaml(str(ROOT / "config/config.yaml")), yaml.safe_load(block)))


@pytest.mark.parametrize("page", PAGES)
def test_keys_and_settings_named_in_the_text_exist(page: str, default: Config) -> None:
    values = merge(plain(default), yaml.safe_load((ROOT / "config/config.yaml").read_text()))  # the usual is left out
    for span in SPAN.findall(prose(page)):
        if re.match(r"\w+: \{", span):
            build(Config, merge(values, yaml.safe_load(span)))
        key = KEY.match(span)
        if key and key[1] in values:
            found = values
            for name in key[0].split("."):
                assert name in found, f"{page}: {span}: config/config.yaml has no such key"
                found = found[name]


# Examples -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "runs"), [("docs/use.md", 6), ("docs/tutorial.md", 2)])
def test_examples_run(
    page: str, runs: int, default: Config, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Block after block, on files named as `make run` names them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trees.regdb(tmp_path / "results/regdb/images", seed=default.stand_in.seed, identities=162, images=1)
    trained = tmp_path / "results/regdb/msclnet/split1/model.pt"
    trained.parent.mkdir(parents=True)
    shutil.copyfile(model, trained)

    names: dict[str, object] = {}
    ran = 0
    for language, text in BLOCK.findall(text_of(page)):
        if language == "python":
            exec(compile(text, page, "exec"), names)
        elif language == "sh":
            for line in text.replace("\\\n", " ").splitlines():
                program, *arguments = shlex.split(line, comments=True)
                if program == "msclnet":
                    assert main(arguments) == 0, line
                    ran += 1
    assert ran == runs
    for name in ("found.html", "person.onnx.md", "person.onnx.json"):
        assert (tmp_path / name).is_file(), name


CHECK = """
import dataclasses, sys
from msclnet.config import load, train_job

job = train_job(load(sys.argv[1], "hetero.yaml"), "sysu", "agw_hetero", 1)
assert "torch" not in sys.modules, "planning reads the file without torch"
from msclnet.losses import objective
from msclnet.losses.needs import needed
from msclnet.model.architecture import Architecture
from msclnet.model.msclnet import MSCLNet
from tests.losses.test_objective import batch

network = MSCLNet(4, Architecture.of(job.model, job.method), needed(job.method.losses, job.objective))
terms = objective.terms(network(batch()), job.method.losses, job.objective)
print(job.method.losses, sorted(terms), float(terms["hetero"]) > 0)
"""


def test_the_steps_to_a_new_loss_are_enough(tmp_path: Path) -> None:
    """The page's file and configuration give the term on the real network; no file of the package is touched."""
    (tmp_path / "hetero.py").write_text(*blocks(NEW_LOSS, "python"))
    (tmp_path / "hetero.yaml").write_text(*blocks(NEW_LOSS, "yaml"))
    command = [sys.executable, "-c", CHECK, str(ROOT / "config/config.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    expected = "{'identity': 1.0, 'wrt': 1.0, 'hetero': 0.5} ['hetero', 'identity', 'wrt'] True"
    assert done.stdout.strip() == expected, done.stderr


PLANNED = """
import json, sys
from msclnet.config import Config, build, merge, read_yaml, splits, train_job
config = build(Config, merge(read_yaml("config/config.yaml"), json.loads(sys.argv[1])))
print(config.run.sets, splits(config, "toy"), train_job(config, "toy", "msclnet", 1).set)
"""


def test_the_page_on_a_new_data_set_is_enough() -> None:
    """Its file is the one that the tests run, and its configuration is valid with that file alone."""
    assert blocks(NEW_SET, "python") == [(ROOT / "tests/datasets/toy.py").read_text()]
    (configuration,) = blocks(NEW_SET, "yaml")
    command = [sys.executable, "-c", PLANNED, json.dumps(yaml.safe_load(configuration))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "('toy',) (1,) toy", done.stderr


# The site, and what is drawn from the code --------------------------------------------------------------------------


DOCS = ("mkdocstrings", "latex2mathml")


@pytest.mark.skipif(not all(map(importlib.util.find_spec, DOCS)), reason="needs the optional dependencies `docs`")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    has = {
        "index.html": 'href="reference/configuration.html"',
        "reference/configuration.html": "divergence_ceiling",
        "reference/commands.html": "plot.py ranked",
        "reference/python.html": "in evaluation mode, on the CPU",
        "equations.html": '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">',
        "how-to/loss.html": 'href="../source/msclnet/losses/table.py.txt"',
        "source/msclnet/losses/table.py.txt": "class Term(",
    }
    for page, words in has.items():
        assert words in (tmp_path / page).read_text(encoding="utf-8"), page
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]*)"|<link[^>]* href="([^"]*)"', page.read_text())
        elsewhere = [link for pair in fetched for link in pair if re.match(r"(https?:)?//", link)]
        assert not elsewhere, f"{page}: needs a network for {elsewhere}"


def test_the_picture_of_the_rules_is_the_codes(tmp_path: Path) -> None:
    drawn = rulegraph.picture(rulegraph.edges_of(rulegraph.snakemakes(tmp_path)))
    assert rulegraph.PICTURE.read_text(encoding="utf-8") == drawn, "run `make graph`"


def test_an_edge_that_a_longer_way_implies_is_left_out() -> None:
    drawn = (
        "flowchart TB\n id0[all]\n id1[c]\n id2[b]\n id3[a]\n id3 --> id2\n id2 --> id1\n id3 --> id1\n id1 --> id0\n"
    )
    edges = rulegraph.edges_of(drawn)
    assert edges == [("a", "b"), ("b", "c")]
    assert rulegraph.rows_of(edges) == [["a"], ["b"], ["c"]]
    assert [word in rulegraph.picture(edges) for word in (">a<", ">b<", ">c<", ">all<")] == [True] * 3 + [False]
    with pytest.raises(ValueError, match="no edge between rules"):
        rulegraph.edges_of("flowchart TB\n id0[all]\n")
