"""The origins of checkpoints by name: those of the package, and what plugins add."""

from __future__ import annotations

from msclnet.core.registry import Table
from msclnet.model.origins.adca import ADCA
from msclnet.model.origins.agw import AGW
from msclnet.model.origins.dart import DART
from msclnet.model.origins.origin import Origin

ORIGINS: Table[Origin] = Table("origin of checkpoints", [AGW, ADCA, DART])
