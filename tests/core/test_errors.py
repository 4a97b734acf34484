"""A message reaches a terminal as text: what a stranger named a file moves no cursor and hides no line."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from msclnet.core.errors import ConfigError, DataError, UserError, printable, reason


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("\x9b31m\r\b\x07\x00", r"\x9b31m\r\x08\x07\x00"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        (os.fsdecode(b"\xff.jpg"), r"\udcff.jpg"),
        ("ein\tBild:\n  größer, 大 \U0001f600", "ein\tBild:\n  größer, 大 \U0001f600"),
    ],
)
def test_what_is_not_to_be_seen_is_spelt(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()
    for kind in (UserError, DataError, ConfigError):
        assert str(kind(text)) == shown


def test_an_object_in_a_checkpoint_is_named_as_torch_names_it(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "whole.pt")
    with pytest.raises(pickle.UnpicklingError) as error:
        torch.load(tmp_path / "whole.pt", weights_only=True)
    assert reason(error.value) == (
        "it holds an object of torch.nn.modules.linear.Linear, which could run a program when it is read"
    )
