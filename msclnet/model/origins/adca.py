"""ADCA (Yang et al., ACM MM 2022) and the unsupervised methods on its code: PGM, GUR, MMM and others.

They train AGW's network by clusters, without its classifier, of which the file holds 1000 rows as they were drawn.
ADCA and GUR leave out the non-local blocks and keep GeM, PGM and MMM keep both. The file is
``{"state_dict", "epoch", "best_mAP"}`` of ``DataParallel``, ``model_best.pth.tar``.
Source: ``clustercontrast/models/agw.py`` of github.com/yangbincv/ADCA (commit 4467612), yangbincv/GUR (f6be694),
zesenwu23/USL-VI-ReID (3448f52) and shijiangming1/MMM (bf4059d).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from msclnet.model.origins import two_stream
from msclnet.model.origins.origin import Origin, Reading

HEADS = r"classifier_(ir|rgb)\."  # GUR's
AS_DRAWN = 1000  # rows of a classifier that nothing trains


def _read(state: Mapping[str, Tensor]) -> Reading:
    note = "no non-local blocks in it: taken for a network that keeps GeM all the same, as ADCA's does"
    classifier = state.get(two_stream.CLASSIFIER)
    trained = classifier is not None and classifier.shape[:1] != (AS_DRAWN,)
    return two_stream.read(state, plain="gem", note=note, unused=HEADS, trained_classifier=trained)


ADCA = Origin("adca", "ADCA's public code", two_stream.MARKS, "state_dict", two_stream.IMAGE_SIZE, _read)
