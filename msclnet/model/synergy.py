"""Eq. 2: the synergistic encoder S, which reads both modalities part by part (figure 3 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from msclnet.model.mogrifier import Mogrifier, MogrifierCell


class ColumnEncoder(nn.Module):
    """Eq. 2 as figure 3 draws it: the parts of f^v hat and f^r hat, each ``[B, n, C]`` -> the blocks b^s ``[B, n, C]``.

    The n parts are the sequence. Each modality has a column of states of its own, which climbs its parts. The central
    column reads the states of both at each step, and is chained upwards. Each column is a Mogrifier LSTM, which is all
    that the text names. The central states are projected to b^s.
    """

    def __init__(self, channels: int, hidden: int, rounds: int, rank: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.visible = MogrifierCell(channels, hidden, rounds, rank)
        self.infrared = MogrifierCell(channels, hidden, rounds, rank)
        self.central = MogrifierCell(2 * hidden, hidden, rounds, rank)
        self.project = nn.Linear(hidden, channels)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        state_v = state_r = state_s = (visible.new_zeros(len(visible), self.hidden),) * 2
        states = []
        for x_v, x_r in zip(visible.unbind(1), infrared.unbind(1), strict=True):
            state_v = self.visible(x_v, state_v)
            state_r = self.infrared(x_r, state_r)
            state_s = self.central(torch.cat((state_v[0], state_r[0]), 1), state_s)
            states.append(state_s[0])
        return self.project(torch.stack(states, 1))


class CrossedEncoder(nn.Module):
    """Eq. 2 with gates across the modalities, shapes as of ``ColumnEncoder``.

    The n parts are the sequence. At step t each modality's part and the *other* modality's state mogrify each
    other; one LSTM cell per modality then takes the step from its part and its own state, both as mogrified; and the
    two new states are projected together to b^s_t.
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
        h_v = c_v = h_r = c_r = visible.new_zeros(len(visible), self.hidden)
        blocks = []
        for x_v, x_r in zip(visible.unbind(1), infrared.unbind(1), strict=True):
            x_v, gated_r = self.visible_mogrifier(x_v, h_r)
            x_r, gated_v = self.infrared_mogrifier(x_r, h_v)
            h_v, c_v = self.visible_cell(x_v, (gated_v, c_v))
            h_r, c_r = self.infrared_cell(x_r, (gated_r, c_r))
            blocks.append(self.project(torch.cat((h_v, h_r), 1)))
        return torch.stack(blocks, 1)


ENCODERS = {"columns": ColumnEncoder, "crossed": CrossedEncoder}
