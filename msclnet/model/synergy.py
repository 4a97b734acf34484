"""Eq. 2: the synergistic encoder S, which reads both modalities part by part (figure 3 of the paper)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msclnet.model.mogrifier import Cells, Mogrifier, MogrifierCell


class ColumnEncoder(nn.Module):
    """Eq. 2 as figure 3 draws it: the parts of f^v hat and f^r hat, each ``[B, n, C]`` -> the blocks b^s ``[B, n, C]``.

    The n parts are the sequence. Each modality has a column of states of its own, which climbs its parts. The central
    column reads the states of both at each step, and is chained upwards. Each column is a Mogrifier LSTM, which is all
    that the text names. The central states are projected to b^s.

    While the outer columns read a part the central one reads their states of the part before: all three take each step
    together, as one batched product.
    """

    def __init__(self, channels: int, hidden: int, rounds: int, rank: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.width = max(channels, 2 * hidden)
        self.visible = MogrifierCell(channels, hidden, rounds, rank)
        self.infrared = MogrifierCell(channels, hidden, rounds, rank)
        self.central = MogrifierCell(2 * hidden, hidden, rounds, rank)
        self.project = nn.Linear(hidden, channels)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.project(self.states(visible, infrared)[2])

    def states(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The states of the visible, the infrared and the central column, ``[B, n, D]`` each."""
        columns = (self.visible, self.infrared, self.central)
        cells = Cells.of([c.mogrifier for c in columns], [c.cell for c in columns], self.width)
        count = visible.shape[1]
        parts = F.pad(torch.stack((visible, infrared)), (0, self.width - visible.shape[2], 0, 1))  # [2, B, n + 1, I]
        h = c = none = parts.new_zeros(3, len(visible), self.hidden)
        rest = parts.new_zeros(len(visible), self.width - 2 * self.hidden)  # what the central column has no input for
        states = []
        for t, part in enumerate(parts.unbind(2)):
            below = torch.cat((h[0], h[1], rest), 1)
            h, c = cells.step(torch.cat((part, below[None])), (h, c))
            if t == 0:  # the central column has read nothing yet
                h, c = torch.cat((h[:2], none[2:])), torch.cat((c[:2], none[2:]))
            states.append(h)
        state_v, state_r, state_s = torch.stack(states, 2)
        return state_v[:, :count], state_r[:, :count], state_s[:, 1:]


class CrossedEncoder(nn.Module):
    """Eq. 2 with gates across the modalities, shapes as of ``ColumnEncoder``.

    The n parts are the sequence. At step t each modality's part and the *other* modality's state mogrify each
    other; one LSTM cell per modality then takes the step from its part and its own state, both as mogrified; and the
    two new states are projected together to b^s_t. Both modalities take each step together, as one batched product.
    """

    def __init__(self, channels: int, hidden: int, rounds: int, rank: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.visible_mogrifier = Mogrifier(channels, hidden, rounds, rank)
        self.infrared_mogrifier = Mogrifier(channels, hidden, rounds, rank)
        self.visible_cell = nn.LSTMCell(channels, hidden)
        self.infrared_cell = nn.LSTMCell(channels, hidden)
        self.project = nn.Linear(2 * hidden, channels)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.project(torch.cat(self.states(visible, infrared), 2))

    def states(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
        """The states of the visible and the infrared column, ``[B, n, D]`` each."""
        mogrifiers = (self.visible_mogrifier, self.infrared_mogrifier)
        cells = Cells.of(mogrifiers, (self.visible_cell, self.infrared_cell), visible.shape[2])
        h = c = visible.new_zeros(2, len(visible), self.hidden)
        states = []
        for part in torch.stack((visible, infrared)).unbind(2):
            x, gated = cells.mogrify(part, h.flip(0))
            h, c = cells.lstm(x, (gated.flip(0), c))
            states.append(h)
        state_v, state_r = torch.stack(states, 2)
        return state_v, state_r


ENCODERS = {"columns": ColumnEncoder, "crossed": CrossedEncoder}
