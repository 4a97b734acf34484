"""Figures of single images: ranked lists and activation maps, from their tables and a pack."""

from __future__ import annotations

from pathlib import Path

import pytest

from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.data.pack import Pack, write_pack
from msclnet.datasets.regdb import RegDB
from msclnet.report.figures.activation import plot_activation
from msclnet.report.figures.numbers import write_numbers
from msclnet.report.figures.ranked import plot_ranked
from msclnet.report.figures.style import Frame
from msclnet.report.figures.tables import ActivationCell, RankedImage
from tests.datasets import trees


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    folder = tmp_path_factory.mktemp("images")
    root = trees.regdb(folder / "regdb")
    write_pack(RegDB().survey(root, (1,), real=False).require(), root, folder / "pack", 48, 24, workers=1)
    return Pack.open(folder / "pack")


def lists(pack: Pack) -> list[RankedImage]:
    """One list in each direction, the second shorter; the first gallery image of each is right."""
    places = []
    for setting, asked, shown in (("visible-to-infrared", 0, 4), ("infrared-to-visible", 1, 2)):
        sides = Modality(asked), Modality(1 - asked)
        about = ("msclnet", setting, "best", 1, 62.5)
        places.append(RankedImage(*about, 0, pack.paths[sides[0]][0], sides[0].name.lower(), 1, 1, 0.0, 1))
        for position in range(1, shown + 1):
            path = pack.paths[sides[1]][position]
            places.append(
                RankedImage(*about, position, path, sides[1].name.lower(), 1, 2, 0.1 * position, position == 1)
            )
    return [place._replace(match=int(place.match)) for place in places]


def test_the_frames_tell_right_from_wrong_by_colour_line_and_symbol(tmp_path: Path, pack: Pack) -> None:
    write_numbers(tmp_path / "ranked.csv", RankedImage._fields, lists(pack))
    plot_ranked(Frame("regdb", "stand-in", ("msclnet",), tmp_path / "ranked.svg"), tmp_path / "ranked.csv", pack)
    text = (tmp_path / "ranked.svg").read_text()
    assert text.count("\N{CHECK MARK} 0.10") == 2
    assert text.count("\N{MULTIPLICATION SIGN} 0.") == 4
    assert text.count("stroke: #1b9e3e") == 2 * 4
    assert text.count("stroke-dasharray") >= 4 * 4
    assert text.count("<image ") == 8
    for words in ("visible to infrared", "infrared to visible", "RegDB (stand-in): ranked lists of msclnet", "AP 62 %"):
        assert words in text


def test_maps_lie_over_their_images(tmp_path: Path, pack: Pack) -> None:
    cells = [
        ActivationCell(method, 1, m.name.lower(), pack.paths[m][0], 0.5, row, column, (row + column) / 2)
        for method in ("agw", "msclnet")
        for m in Modality
        for row in range(2)
        for column in range(2)
    ]
    write_numbers(tmp_path / "activation.csv", ActivationCell._fields, cells)
    plot_activation(
        Frame("regdb", "RegDB", ("agw", "msclnet"), tmp_path / "activation.svg"), tmp_path / "activation.csv", pack
    )
    text = (tmp_path / "activation.svg").read_text()
    assert text.count("cos 0.50") == 4
    for words in ("<!-- visible -->", "<!-- infrared -->", "agw", "msclnet", "RegDB: where the network looks"):
        assert words in text
    assert text.count("<image ") == 2 + 4 + 1, "each image alone, each under a map, and the colour bar"
    assert (tmp_path / "activation.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match=r"activation.csv: no map of base; make it with explain.py of these methods"):
        plot_activation(Frame("regdb", "RegDB", ("base", "agw"), tmp_path / "a.svg"), tmp_path / "activation.csv", pack)


def test_a_map_without_activation_says_so_and_claims_no_largest_value(tmp_path: Path, pack: Pack) -> None:
    cells = [
        ActivationCell("agw", 1, m.name.lower(), pack.paths[m][0], 0.5, row, 0, float(m) * row)
        for m in Modality
        for row in range(2)
    ]
    write_numbers(tmp_path / "a.csv", ActivationCell._fields, cells)
    plot_activation(Frame("regdb", "RegDB", ("agw",), tmp_path / "a.svg"), tmp_path / "a.csv", pack)
    assert (tmp_path / "a.svg").read_text().count("no activation") == 1, "the visible image's map is zeros"


def test_a_table_that_does_not_fit_is_named(tmp_path: Path, pack: Pack) -> None:
    table = tmp_path / "ranked.csv"
    with pytest.raises(DataError, match=r"ranked.csv: no such file; .*explain.py"):
        plot_ranked(Frame("regdb", "RegDB", ("msclnet",), tmp_path / "r.svg"), table, pack)
    table.write_text("method,setting\nmsclnet,all\n")
    with pytest.raises(DataError, match=r"ranked.csv: 1 rows without group, query"):
        plot_ranked(Frame("regdb", "RegDB", ("msclnet",), tmp_path / "r.svg"), table, pack)
    write_numbers(table, RankedImage._fields, [lists(pack)[0]._replace(path="nobody.bmp")])
    with pytest.raises(DataError, match=r"has no visible image nobody.bmp; extract the features of this pack"):
        plot_ranked(Frame("regdb", "RegDB", ("msclnet",), tmp_path / "r.svg"), table, pack)
    write_numbers(table, RankedImage._fields, lists(pack))
    with pytest.raises(DataError, match=r"ranked.csv: no list of agw"):
        plot_ranked(Frame("regdb", "RegDB", ("agw",), tmp_path / "r.svg"), table, pack)
