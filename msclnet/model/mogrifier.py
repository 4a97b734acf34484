"""The Mogrifier (Melis, Kocisky, Blunsom: Mogrifier LSTM, ICLR 2020), which the synergistic encoder is built on.

Several cells take each step together, as one batched product: a step of small products costs a GPU its launches.
Shape legend: k cells side by side, B rows, I the width of an input, D of a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # h and c, [k, B, D] each


class Mogrifier(nn.Module):
    """The matrices by which an input and a state gate each other in ``rounds`` alternating rounds; see ``mogrify``.

    Matrix q = 1..Q maps a state to an input where q is odd, else an input to a state. With ``rank`` > 0 each is a
    product of two thin ones. Zero rounds change nothing.
    """

    def __init__(self, inputs: int, hidden: int, rounds: int, rank: int) -> None:
        super().__init__()
        shapes = [(hidden, inputs) if q % 2 else (inputs, hidden) for q in range(1, rounds + 1)]
        self.gates = nn.ModuleList(_matrix(source, target, rank) for source, target in shapes)

    def factors(self, q: int) -> list[Tensor]:
        """Of matrix q, from 1: what is multiplied with the source first comes first; ``[target, source]`` each."""
        return [factor for name, factor in self.gates[q - 1].named_parameters()]


class MogrifierCell(nn.Module):
    """The parameters of a Mogrifier LSTM of inputs ``[B, I]`` and states ``[B, D]``; see ``Cells``."""

    def __init__(self, inputs: int, hidden: int, rounds: int, rank: int) -> None:
        super().__init__()
        self.mogrifier = Mogrifier(inputs, hidden, rounds, rank)
        self.cell = nn.LSTMCell(inputs, hidden)


class Cells(NamedTuple):
    """k Mogrifier LSTMs that take a step together, each on its own rows by its own matrices.

    Attributes:
        gates: half of each round's matrix, ``[k, D, I]`` and ``[k, I, D]`` in turn; or its factors.
        of_input: of the LSTM, ``[k, I, 4 D]``.
        of_state: of the LSTM, ``[k, D, 4 D]``.
        bias: of the LSTM, ``[k, 1, 4 D]``.
    """

    gates: tuple[tuple[Tensor, ...], ...]
    of_input: Tensor
    of_state: Tensor
    bias: Tensor

    @classmethod
    def of(cls, mogrifiers: Sequence[Mogrifier], cells: Sequence[nn.LSTMCell], width: int) -> Cells:
        """The matrices side by side; an input narrower than ``width`` is taken to be filled up with zeros."""
        rounds = len(mogrifiers[0].gates)
        gates: list[tuple[Tensor, ...]] = [()] * rounds
        for first in (1, 2):  # the odd rounds, then the even ones: those of equal shapes in one product
            turns = range(first, rounds + 1, 2)
            factors = [[m.factors(q) for m in mogrifiers] for q in turns]
            if factors:
                gates[first - 1 :: 2] = _halves(factors, width, of_state=first == 1)
        return cls(
            tuple(gates),
            torch.stack([_filled(cell.weight_ih, width, 1) for cell in cells]).transpose(1, 2),
            torch.stack([cell.weight_hh for cell in cells]).transpose(1, 2),
            torch.stack([cell.bias_ih for cell in cells]).add(torch.stack([cell.bias_hh for cell in cells]))[:, None],
        )

    def mogrify(self, x: Tensor, h: Tensor) -> State:
        """Lets inputs ``[k, B, I]`` and states ``[k, B, D]`` gate each other.

        Round q = 1..Q: odd q, ``x <- 2 sigmoid(A_q h) * x``; even q, ``h <- 2 sigmoid(R_q x) * h``. Written as
        ``x + tanh(A_q h / 2) * x``, which is the same in two operations less.
        """
        for q, gate in enumerate(self.gates, start=1):
            if q % 2:
                x = torch.addcmul(x, x, _through(h, gate).tanh())
            else:
                h = torch.addcmul(h, h, _through(x, gate).tanh())
        return x, h

    def lstm(self, x: Tensor, state: State) -> State:
        """A step of the LSTMs: ``nn.LSTMCell`` of each, on inputs ``[k, B, I]``."""
        h, c = state
        gates = torch.baddbmm(torch.baddbmm(self.bias, x, self.of_input), h, self.of_state)  # [k, B, 4 D]
        taken, kept, _, shown = torch.sigmoid(gates).chunk(4, 2)
        c = torch.addcmul(kept * c, taken, torch.tanh(gates.chunk(4, 2)[2]))
        return shown * torch.tanh(c), c

    def step(self, x: Tensor, state: State) -> State:
        """A step of the Mogrifier LSTMs: inputs ``[k, B, I]`` and the state -> the next state."""
        h, c = state
        x, h = self.mogrify(x, h)
        return self.lstm(x, (h, c))


def _matrix(source: int, target: int, rank: int) -> nn.Module:
    if rank == 0:
        return nn.Linear(source, target, bias=False)
    return nn.Sequential(nn.Linear(source, rank, bias=False), nn.Linear(rank, target, bias=False))


def _halves(factors: list[list[list[Tensor]]], width: int, of_state: bool) -> list[tuple[Tensor, ...]]:
    """Half of each matrix of some rounds, transposed, the k cells' side by side: of ``[round][cell]`` its factors."""
    for factor in (f for cells in factors for f in cells):  # the side of the input is as wide as the widest
        if of_state:
            factor[-1] = _filled(factor[-1], width, 0)
        else:
            factor[0] = _filled(factor[0], width, 1)
    first, *second = (
        torch.stack(f).transpose(1, 2) for f in zip(*(f for cells in factors for f in cells), strict=True)
    )
    return list(zip(*(f.unflatten(0, (len(factors), -1)) for f in (first / 2, *second)), strict=True))


def _through(values: Tensor, factors: tuple[Tensor, ...]) -> Tensor:
    """The values multiplied by each matrix in turn."""
    for factor in factors:
        values = values @ factor
    return values


def _filled(matrix: Tensor, size: int, dim: int) -> Tensor:
    """The matrix with zeros at the end of ``dim``, up to ``size``."""
    short = size - matrix.shape[dim]
    return F.pad(matrix, (0, short) if dim == 1 else (0, 0, 0, short)) if short else matrix
