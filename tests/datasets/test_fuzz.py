"""Whatever stands in an index file, a reader ends with its own error or a result, never a traceback."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msclnet.core.errors import DataError
from msclnet.datasets.table import SETS
from tests.datasets import trees

FILES: dict[str, tuple[str, ...]] = {
    "regdb": ("idx/train_visible_1.txt", "idx/test_thermal_1.txt"),
    "sysu": ("exp/train_id.txt", "exp/test_id.txt"),
    "llcm": ("idx/train_vis.txt", "idx/test_nir.txt", "idx/test_id.txt"),
}
PIECES = (
    "Visible/1/a_1.bmp 0", "Thermal/2/", "vis/0001/0001_c01_s1_f1_vis.jpg 0", "nir/0003/0003_c99_x_nir.jpg 1", "1,2,3",
    "9" * 5000, "x" * 5000 + "_1.bmp 0", "Visible/1/" + "x" * 300 + "_1.bmp 0", "../", "\x00", "\r", "\n", "\r\n", " ",
    ",", "-1", "1.5", "٣", "²", "\ufeff", "\x1c", "\u2028", "0",
)  # fmt: skip
CONTENT = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=12).map(
        lambda pieces: "".join(pieces).encode("utf-8", errors="surrogatepass")
    ),
)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: trees.draw(name, tmp_path_factory.mktemp("fuzz") / name) for name in FILES}


@pytest.mark.parametrize("name", list(FILES))
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_index_file_gives_a_traceback(roots: dict[str, Path], name: str, data: st.DataObject) -> None:
    path = roots[name] / data.draw(st.sampled_from(FILES[name]))
    before = path.read_bytes()
    content = data.draw(CONTENT)
    path.write_bytes(data.draw(st.sampled_from([content, before + content, content + before])))
    try:
        with contextlib.suppress(DataError):
            found = SETS.get(name).survey(roots[name], (1,), real=data.draw(st.booleans()))
            assert str(found)
            found.require()
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("name", list(FILES))
def test_a_pipe_in_a_files_place_is_named_and_not_waited_for(tmp_path: Path, name: str) -> None:
    path = trees.draw(name, tmp_path / name) / FILES[name][0]
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match=f"{path.name}: a pipe; expected a regular file"):
        SETS.get(name).survey(tmp_path / name, (1,), real=False).require()


@pytest.mark.parametrize("name", list(FILES))
def test_a_folder_in_a_files_place_is_named(tmp_path: Path, name: str) -> None:
    path = trees.draw(name, tmp_path / name) / FILES[name][0]
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=f"{path.name}: not readable .*make it readable, or copy it from the set's"):
        SETS.get(name).survey(tmp_path / name, (1,), real=False).require()
