"""Paths on command lines, and the end of a command in words."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from msclnet.core import command
from msclnet.core.errors import StorageError, UserError
from tests.conftest import ROOT

SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))


def raises(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize("kind", [command.source, command.output, command.output_folder])
def test_the_home_folder_and_nothing(
    kind: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kind("~/x") == tmp_path / "x"
    for text in ("", "  "):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a path"):
            kind(text)


@pytest.mark.parametrize(
    ("least", "most", "text", "expected"),
    [
        (1, None, "0", "found '0', expected a number of 1 or more"),
        (0, None, "-1", "found '-1', expected a number of 0 or more"),
        (0, 65535, "65536", "found '65536', expected a number of 0 to 65535"),
        (1, 7, "1.0", "found '1.0', expected a number of 1 to 7"),
        (0, None, "٣", "found '٣', expected a number of 0 or more"),
        (0, None, "", "found '', expected a number of 0 or more"),
    ],
)
def test_a_number_that_will_not_do_is_said(least: int, most: int | None, text: str, expected: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        command.whole(least, most)(text)
    assert str(caught.value) == expected
    assert [command.whole(least, most)(str(number)) for number in (least, most or 9)] == [least, most or 9]


def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for text in ("file", "file/x", "file/x/y"):
        with pytest.raises(StorageError, match=rf"{tmp_path}/file: a file; expected a folder"):
            command.output_folder(str(tmp_path / text))
    with pytest.raises(StorageError, match=rf"{tmp_path}/file: a file; expected a folder"):
        command.output(str(tmp_path / "file/x"))
    with pytest.raises(StorageError, match=rf"{tmp_path}: a folder; expected a file"):
        command.output(str(tmp_path))
    with pytest.raises(StorageError, match="/dev/null: a pipe, a device or a socket, which would be replaced"):
        command.output("/dev/null")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(StorageError, match="link: a file"):
        command.output_folder(str(tmp_path / "link/x"))
    assert command.output(str(tmp_path / "file")) == tmp_path / "file"
    assert command.output(str(tmp_path / "new/x")) == tmp_path / "new/x"
    assert not (tmp_path / "new").exists(), "nothing is made before it is needed"


def test_a_folder_without_the_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(StorageError, match=f"{tmp_path}: cannot be written to; make it writable"):
        command.output(str(tmp_path / "x"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("so and so"), "error: so and so\n"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "error: a: Permission denied; expected a file"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a"), "error: a: Is a directory; expected a file"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot be written (No space left on device): "),
        (OSError("1000 requested and 10 written"), "cannot be written (No space left on device): "),
    ],
)
def test_what_the_user_can_mend_is_said(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.status(raises(error)) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("a bug"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")])
def test_another_failure_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        command.status(raises(error))


def test_ctrl_c_ends_a_command_in_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.status(raises(KeyboardInterrupt())) == 130
    with pytest.raises(SystemExit) as ended:
        command.run(raises(KeyboardInterrupt()))
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n" * 2


@pytest.mark.parametrize("values", [("0", "inf"), ("nan", "1"), ("5", "5"), ("9", "3")])
def test_what_is_black_lies_below_what_is_white(values: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deep-range", action=command.BlackToWhite)
    assert parser.parse_args(["--deep-range", "-3", "4095"]).deep_range == (-3, 4095)
    with pytest.raises(SystemExit):
        parser.parse_args(["--deep-range", *values])
    said = f"argument --deep-range: found {' '.join(values)}, expected finite numbers, black below white"
    assert said in capsys.readouterr().err


def test_numpy_says_a_full_disk_as_is_read() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="requested and") as caught:
        np.zeros(10_000).tofile(full)
    assert command.status(raises(caught.value)) == 1


def test_a_name_of_other_bytes_can_be_printed() -> None:
    code = "from msclnet.core.command import run; import os; run(lambda: print(os.fsdecode(b'caf\\xe9')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "caf\\udce9\n")


@pytest.mark.parametrize("script", [path for path in SCRIPTS if path.name != "launch.py"], ids=lambda path: path.name)
def test_every_script_reads_paths_and_ends_the_same_way(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert "type=Path" not in text
    assert "type=int" not in text, "it lets negative numbers in"
    assert text.endswith('if __name__ == "__main__":\n    run(main)\n')
