"""What every section of the configuration is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of keys; an unknown key is refused. Key names are the fields', or their alias where Python forbids
    the word."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)
