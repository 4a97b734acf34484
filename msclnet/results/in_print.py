"""The numbers in print that stand beside ours, as rows of a table of their own: never among the rows we measured."""

from __future__ import annotations

from dataclasses import asdict

from msclnet.datasets.table import SETS
from msclnet.results.scores import Row

# Of our methods in print; AGW* is AGW with random erasing.
NAMES = {"agw": "AGW*", "agw_ca": "CAJ", "msclnet": "MSCLNet"}
SELECTION = (
    "The paper's baselines select the best epoch by the test set; ours is the last epoch, or the best by validation "
    "where train.keep says so."
)


def in_print(name: str) -> list[Row]:
    """The numbers in print of the real data set ``name``, in percent; empty where there are none.

    Args:
        name: of the data set.

    Returns:
        A row for each comparison and method, with the method as in print, the comparison, the scores that anyone
        printed (None: not this one), and the source.
    """
    data_set = SETS.get(name)
    settings = list(dict.fromkeys(setting for _, setting in data_set.printed))
    rows = [
        {
            "method": NAMES.get(method, method),
            **dict(zip(data_set.columns, setting, strict=True)),
            **asdict(printed),
            "flip": None,
        }
        for (method, setting), printed in sorted(data_set.printed.items(), key=lambda item: settings.index(item[0][1]))
    ]
    return [{key: row[key] for key in row if any(other[key] is not None for other in rows)} for row in rows]
