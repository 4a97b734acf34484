"""What an origin of checkpoints is to this project: one object says what its code calls the layers of its network.

A new origin is one file like dart.py and its object in the table (table.py), or, outside the package, in a file that
the environment variable ``MSCLNET_PLUGINS`` names and that calls ``table.ORIGINS.register``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from msclnet.model.architecture import Architecture


@dataclass(frozen=True)
class Reading:
    """What a state dict of an origin's is here.

    Attributes:
        architecture: of the network here that has its layers.
        theirs: by the name of an entry of that network, its name there.
        unused: matches the beginning of each name there that no image passes through.
        classifier: the name there of the identity classifier's weight ``[identities, C]``; empty where it has none
            that was trained.
        notes: what the file does not say, and how it was taken, in sentences.
    """

    architecture: Architecture
    theirs: Callable[[str], str]
    unused: re.Pattern[str]
    classifier: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Somebody's code, and how to read the checkpoints that it writes.

    Attributes:
        name: a word, in the table.
        title: whose code it is, to stand behind "a checkpoint of".
        marks: how names of its state dict begin: a file of its has each of them. Of several origins whose marks a file
            has, the one with most is taken, and among those the one whose ``wrapper`` it has.
        wrapper: the key that its files hold the state dict under; empty where they hold nothing else.
        image_size: height and width of its images in pixels, by default: such files do not say.
        read: what a state dict is, by its names and shapes. Raises ``ValueError``, with what is wrong, for none of its.
    """

    name: str
    title: str
    marks: tuple[str, ...]
    wrapper: str
    image_size: tuple[int, int]
    read: Callable[[Mapping[str, Tensor]], Reading]

    @property
    def origin(self) -> str:
        """The module that reads its files, by which the table tells two of one name apart."""
        return self.read.__module__

    def has(self, state: Mapping[str, Tensor]) -> bool:
        """Whether a state dict has the marks.

        Args:
            state: names without what a wrapper put before them.

        Returns:
            Whether, for each mark, a name begins with it.
        """
        return all(any(name.startswith(mark) for name in state) for mark in self.marks)
