"""The command line itself: help with examples, words for a mistyped command, completion."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from msclnet.cli import main
from tests.conftest import ROOT
from tests.patience import PATIENCE
from tools import commands

COMMANDS = commands.commands_of(commands.parser_of(ROOT / "msclnet/cli.py"))


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_ends_with_examples_that_are_right(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = help_of(command, capsys).partition("\nexamples:\n")[2].replace("\\\n", " ").splitlines()
    assert examples
    for line in examples:
        program, name, *arguments = shlex.split(line.partition(" > ")[0], comments=True)
        assert program == "msclnet"
        assert command in ("", name)
        if arguments != ["--help"]:
            COMMANDS[name].parse_args(arguments)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("serch", "'serch' is no command; did you mean search?"),
        ("imprt", "'imprt' is no command; did you mean import"),
        ("import-agw", "'import-agw' is no command any more; type msclnet import FILE --out MODEL"),
        ("qqq", "'qqq' is no command; expected doctor, check-data, export-npy,"),
        ("\x1b[2Jinfo", r"'\x1b[2Jinfo' is no command; did you mean info?"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_nearest(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([typed, "--features", "x"])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_is_mistyped_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["info", "a", "\x1b[2J"])
    error = capsys.readouterr().err
    assert r"unrecognized arguments: \x1b[2J" in error
    assert "\x1b" not in error


COMPLETED = """
source {script}
cd {folder}
complete_it() {{
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}; COMPREPLY=()
    $(complete -p msclnet | sed -E 's/.* -F (\\S+) .*/\\1/') msclnet "${{@: -1}}" "${{@: -2:1}}"
    echo "${{COMPREPLY[@]}}"
}}
complete_it msclnet se
complete_it msclnet search --gallery-mod
complete_it msclnet evaluate --feature b
complete_it msclnet check-data r
complete_it msclnet info mo
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_commands_options_choices_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="needs the optional dependencies `use`")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "msclnet.bash"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "model.pt").touch()
    done = subprocess.run(
        ["bash", "-c", COMPLETED.format(script=script, folder=tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    command, option, choice, data_set, file = done.stdout.splitlines()
    assert command == "search", done.stderr
    assert option == "--gallery-modality"
    assert choice == "bn"
    assert data_set == "regdb"
    assert re.fullmatch(r"model\.pt ?", file)
