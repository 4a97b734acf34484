"""The examples of docs/use.md are run, block after block, on files named as `make run` names them."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import pytest

from msclnet.cli import main
from msclnet.config import Config, RegDBStandIn
from msclnet.data.standin import draw_regdb
from tests.conftest import ROOT
from tests.use.conftest import job as job
from tests.use.conftest import model as model

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_on_use(default: Config, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    people = dataclasses.replace(default.stand_in, regdb=RegDBStandIn(like="", identities=4, images=1))
    draw_regdb(tmp_path / "data/stand-in/regdb", people, workers=1)
    trained = tmp_path / "results/regdb/msclnet/split1/model.pt"
    trained.parent.mkdir(parents=True)
    shutil.copyfile(model, trained)

    blocks = BLOCK.findall((ROOT / "docs/use.md").read_text())
    assert {language for language, _ in blocks} == {"sh", "python"}
    names: dict[str, object] = {}
    commands = 0
    for language, text in blocks:
        if language == "python":
            exec(compile(text, "docs/use.md", "exec"), names)
            continue
        for line in text.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(line)
            assert program == "msclnet"
            assert main(arguments) == 0, line
            commands += 1
    assert commands == 5
    for name in ("found.html", "person.onnx.md", "person.onnx.json", "person.pt2", "person.safetensors"):
        assert (tmp_path / name).is_file(), name
