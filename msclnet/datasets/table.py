"""The data sets by name: those of the package, and what plugins add."""

from __future__ import annotations

from msclnet.core.registry import Table
from msclnet.datasets.dataset import DataSet
from msclnet.datasets.llcm import LLCM
from msclnet.datasets.regdb import RegDB
from msclnet.datasets.sysu import SYSU

SETS: Table[DataSet] = Table("data set", [RegDB(), SYSU(), LLCM()])
