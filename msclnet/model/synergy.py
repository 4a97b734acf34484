"""Eq. 2: the synergistic encoder S, which reads both modalities part by part (figure 3 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from msclnet.model.mogrifier import Mogrifier


class SynergyEncoder(nn.Module):
    """Eq. 2: the parts of f^v hat and f^r hat, each ``[B, n, C]`` -> the blocks b^s ``[B, n, C]`` of f^s.

    The n parts are the sequence. At step t each modality's part and the *other* modality's state mogrify each
    other; one LSTM cell per modality then takes the step from its part and its own state, both as mogrified; and the
    two new states are projected together to b^s_t. Departure from print: the paper names a Mogrifier LSTM and draws
    the two columns, and says no more (docs/decisions.md).
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
