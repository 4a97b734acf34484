"""The Mogrifier (Melis, Kocisky, Blunsom: Mogrifier LSTM, ICLR 2020), which the synergistic encoder is built on."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Mogrifier(nn.Module):
    """Lets an input ``x [B, I]`` and a state ``h [B, D]`` gate each other in ``rounds`` alternating rounds.

    Round q = 1..Q: odd q, ``x <- 2 sigmoid(A_q h) * x``; even q, ``h <- 2 sigmoid(R_q x) * h``. With ``rank`` > 0 each
    matrix is a product of two thin ones. Zero rounds change nothing.
    """

    def __init__(self, inputs: int, hidden: int, rounds: int, rank: int) -> None:
        super().__init__()
        shapes = [(hidden, inputs) if q % 2 else (inputs, hidden) for q in range(1, rounds + 1)]
        self.gates = nn.ModuleList(_matrix(source, target, rank) for source, target in shapes)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        for q, gate in enumerate(self.gates, start=1):
            if q % 2:
                x = 2 * torch.sigmoid(gate(h)) * x
            else:
                h = 2 * torch.sigmoid(gate(x)) * h
        return x, h


class MogrifierCell(nn.Module):
    """A step of a Mogrifier LSTM: ``x [B, I]`` and the state ``(h, c)``, ``[B, D]`` each -> the next state."""

    def __init__(self, inputs: int, hidden: int, rounds: int, rank: int) -> None:
        super().__init__()
        self.mogrifier = Mogrifier(inputs, hidden, rounds, rank)
        self.cell = nn.LSTMCell(inputs, hidden)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        x, h = self.mogrifier(x, h)
        return self.cell(x, (h, c))


def _matrix(source: int, target: int, rank: int) -> nn.Module:
    if rank == 0:
        return nn.Linear(source, target, bias=False)
    return nn.Sequential(nn.Linear(source, rank, bias=False), nn.Linear(rank, target, bias=False))
