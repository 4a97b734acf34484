"""The record of track.py: which run of the tracking server is which training's."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from msclnet.core.errors import DataError, SpoiledError
from msclnet.core.section import problem


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Run(_Strict):
    """A run; one of a whole method has no split."""

    method: str
    split: int | None
    run_id: str = Field(pattern="^[A-Za-z0-9-]+$")


class Experiment(_Strict):
    """Where the runs are listed."""

    id: str = Field(pattern="^[A-Za-z0-9-]+$")
    name: str


class Record(_Strict):
    """What is read of the record."""

    runs: list[Run] = []
    experiment: Experiment | None = None


def read_record(path: Path) -> Record:
    """The record in a file.

    Args:
        path: what track.py wrote.

    Returns:
        The record.

    Raises:
        DataError: there is no such file.
        SpoiledError: it is not what track.py writes.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the record of track.py: run it first") from None
    except ValidationError as error:
        reason = problem(error)
        raise SpoiledError(f"{path}: not the record of track.py ({reason}); run it again", path) from None
