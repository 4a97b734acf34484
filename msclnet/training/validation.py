"""Scores during a training, on training identities that are held out; no test image has a part in it."""

from __future__ import annotations

import math
import sys
from statistics import fmean
from typing import Any

import numpy as np
from torch import Tensor

from msclnet.config import TrainJob
from msclnet.core.errors import ConfigError
from msclnet.core.types import Modality
from msclnet.data.pack import Pack
from msclnet.datasets.dataset import LEAST_HELD
from msclnet.datasets.table import SETS
from msclnet.evaluation.embedding import embed, known
from msclnet.evaluation.scoring import scored
from msclnet.model.msclnet import MSCLNet
from msclnet.results.scores import HEADLINES
from msclnet.training.process_group import Processes


def held_out(job: TrainJob, pack: Pack) -> tuple[int, ...]:
    """The training identities that a training does not train on, sorted.

    A function of the set, the seed and the split, so the same for every method.

    Args:
        job: the training's configuration.
        pack: the pack of the data set's images.

    Returns:
        The identities; none where ``train.validate_every`` is 0.

    Raises:
        ConfigError: there are fewer than two to hold out.
    """
    if not job.train.validate_every:
        return ()
    kind, fraction = SETS.get(job.set), job.train.validation_fraction
    everyone, listed = (
        np.unique(np.concatenate([pack.identities[m][pack.rows(job.split, part, m)] for m in Modality]))
        for part in ("train", "validation")
    )
    chosen = kind.held_out(everyone, listed, fraction, (job.seed, job.split))
    if len(chosen) < LEAST_HELD:
        found = (
            f"train.validate_every: {kind.validation_list} names {len(chosen)} identities of {pack.folder} to validate "
            f"on; expected {LEAST_HELD} or more: restore that file and pack the set again, or set it to 0"
            if kind.validation_list
            else f"train.validation_fraction: {fraction:g} of {len(everyone)} training identities is {len(chosen)}; "
            f"expected {LEAST_HELD} identities or more: use a larger fraction, or set train.validate_every to 0"
        )
        raise ConfigError(found)
    return tuple(chosen.tolist())


class Validation:
    """Scores a network after some epochs, and remembers the epoch whose weights the training is to leave.

    Nothing that the training goes on with is changed: no weight, no statistic, no random state.
    """

    def __init__(self, job: TrainJob, pack: Pack, people: tuple[int, ...], process: Processes) -> None:
        """On ``people``, what ``held_out`` gave: the comparisons are the headline's of the set's own protocol."""
        self.every, self.epochs = job.train.validate_every, job.epochs
        self.best = job.train.keep == "best_validation"
        self.people, self.pack, self.process = people, pack, process
        self.batch = 2 * job.train.identities * job.train.images  # images at once: those of a step
        trained = {m: pack.rows(job.split, "train", m) for m in Modality}
        self.rows = {m: rows[np.isin(pack.identities[m][rows], people)] for m, rows in trained.items()}
        self.images = known(pack, self.rows)
        kind = SETS.get(job.set)
        self.comparisons = [
            comparison
            for comparison in kind.comparisons(self.images)
            if any(setting.items() <= comparison.setting.items() for setting in kind.headline)
        ]
        self.kept: dict[str, Any] = {}  # the epoch whose weights are kept, and its scores
        self.weights: dict[str, Tensor] = {}  # its, in the first process; none where the last epoch's are kept

    def due(self, epoch: int) -> bool:
        """Whether ``epoch`` (from 1) is scored: every ``validate_every``-th, and the last."""
        return epoch % self.every == 0 or epoch == self.epochs

    def score(self, epoch: int, network: MSCLNet) -> dict[str, float]:
        """Scores the network as it is after ``epoch``; of equally good epochs the earliest is the best.

        All processes take part, each with its share of the images, and score the same features: none waits for another.

        Args:
            epoch: from 1.
            network: the training's, whose mode is as before afterwards.

        Returns:
            ``rank1``, ``mAP`` and ``mINP`` in percent, the mean over the headline's comparisons, in every process. All
            are 0 where a feature is not finite: batch normalisation that has seen few steps lets a network overflow.
        """
        self.process.like_the_first(network.buffers())  # as a model is saved
        mode = network.training
        parts = [part for modality in Modality for part in self.process.gathered(self._share(network, modality))]
        network.train(mode)
        percent = self._percent(epoch, np.concatenate(parts))
        if not self.best or percent["mAP"] > self.kept.get("mAP", -math.inf):
            self.kept = {"epoch": epoch, "identities": len(self.people), **percent}
            if self.best and self.process.first:
                self.weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        return percent

    def leave(self, network: MSCLNet) -> None:
        """Puts the weights that are to be kept into the network; in the first process."""
        if self.weights:
            network.load_state_dict(self.weights)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"kept": self.kept, "weights": self.weights}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state`` gave."""
        self.kept, self.weights = state["kept"], state["weights"]

    def _share(self, network: MSCLNet, modality: Modality) -> np.ndarray:
        """This process's part of a modality's features, float32 ``[n, C]``, in the order of the rows."""
        mine = np.array_split(self.rows[modality], self.process.world)[self.process.rank]
        pixels = self.pack.images[modality]
        starts = range(0, max(1, len(mine)), self.batch)  # also of no images: a share may be empty
        return np.concatenate([embed(network, pixels[mine[s : s + self.batch]], modality) for s in starts])

    def _percent(self, epoch: int, features: np.ndarray) -> dict[str, float]:
        if not np.isfinite(features).all():
            if self.process.first:
                print(f"warning: epoch {epoch}: features of the validation are not finite; scored 0", file=sys.stderr)
            return dict.fromkeys(HEADLINES, 0.0)
        found = [scores for _, scores in scored(features, self.images, self.comparisons)]
        return {
            "rank1": 100 * fmean(float(scores.cmc[0]) for scores in found),
            "mAP": 100 * fmean(scores.mAP for scores in found),
            "mINP": 100 * fmean(scores.mINP for scores in found),
        }
