"""The learning rate, a function of the epoch."""

from __future__ import annotations

from msclnet.config import Train


def rate(epoch: int, train: Train) -> float:
    """The rate of the new layers in ``epoch`` (from 1): linear warm-up, then a factor after each milestone.

    Paper: 0.1 to epoch 20, 0.05 in 21-50, 0.01 in 51-100, 0.001 after; AGW warms up over 10 epochs.
    """
    if epoch <= train.warmup:
        return train.rate * epoch / train.warmup
    passed = sum(epoch > milestone for milestone in train.milestones)
    return train.rate * (train.factors[passed - 1] if passed else 1.0)
