"""k-reciprocal re-ranking (Zhong et al., CVPR 2017). ``Q`` queries, ``G`` gallery images, ``N = Q + G``.

It uses the other queries, so a re-ranked number is not comparable with a plain one: tables keep them apart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from msclnet.core.errors import DataError

K1, K2, LAMBDA = 20, 6, 0.3  # the paper's values for Market-1501, in general use
LARGEST = 40_000  # N of which three N x N matrices of float32 fill 20 GB
CHUNK = 512  # images whose neighbours are compared at once


def reranked(query: Tensor, gallery: Tensor, k1: int = K1, k2: int = K2, weight: float = LAMBDA) -> Tensor:
    """Distances ``[Q, G]`` of float32 rows of unit length: ``weight`` of the Euclidean, the rest of the Jaccard one.

    Equations 3 to 12 of the paper: k-reciprocal neighbours, extended by those of each one that shares two thirds of
    its own with them; encoded by the Gaussian of the squared distance (as a fraction of the largest in its column, as
    in the authors' code); averaged over the ``k2`` nearest; compared by 1 - sum of minima / sum of maxima.

    Raises DataError when the matrices would not fit in memory.
    """
    asked, images = len(query), torch.cat((query, gallery))
    size = len(images)
    if size > LARGEST:
        raise DataError(
            f"re-ranking: {size} query and gallery images, {LARGEST} or fewer fit in memory (it holds all their "
            "distances); set evaluate.rerank to false, or draw a smaller gallery"
        )
    distances = (2 - 2 * images @ images.T).clamp_(min=0)  # squared Euclidean
    largest = distances.amax(0).clamp(min=torch.finfo(distances.dtype).tiny)  # 0 where all images are the same
    distances = (distances / largest).T.contiguous()
    order = torch.stack([row.argsort(stable=True)[: max(k1 + 1, k2)] for row in distances])  # [N, k1 + 1]

    codes = torch.zeros_like(distances)
    reciprocal, nearest = _reciprocal(order[:, : k1 + 1]), order[:, : k1 + 1]
    half = round(k1 / 2) + 1
    own, closest = _reciprocal(order[:, :half]), order[:, :half]
    for rows in torch.arange(size, device=images.device).split(CHUNK):
        neighbours, valid = nearest[rows], reciprocal[rows]  # [c, k]
        theirs, counted = closest[neighbours], own[neighbours]  # [c, k, half]: the neighbours' own neighbours
        shared = (theirs[..., None] == neighbours[:, None, None]) & valid[:, None, None]
        common = (shared.any(-1) & counted).sum(-1)
        joined = valid & (common > 2 / 3 * counted.sum(-1))  # whose neighbours are taken in, too
        row = rows[:, None].expand_as(neighbours)
        codes[row[valid], neighbours[valid]] = 1
        taken = joined[..., None] & counted
        codes[rows[:, None, None].expand_as(theirs)[taken], theirs[taken]] = 1
    codes *= (-distances).exp()
    codes /= codes.sum(1, keepdim=True)
    if k2 > 1:
        codes = torch.stack([codes[near].mean(0) for near in order[:, :k2]])

    by_image = codes[asked:].T.contiguous()  # [N, G]
    jaccard = torch.empty(asked, len(gallery), device=images.device)
    for i, code in enumerate(codes[:asked]):
        shared_with = code.nonzero()[:, 0]
        smaller = torch.minimum(code[shared_with, None], by_image[shared_with]).sum(0)
        jaccard[i] = 1 - smaller / (2 - smaller)
    return weight * distances[:asked, asked:] + (1 - weight) * jaccard


def _reciprocal(order: Tensor) -> Tensor:
    """Which of each image's nearest ``order`` (``[N, k]``) have it among their own, bool ``[N, k]``."""
    image = torch.arange(len(order), device=order.device)
    return torch.cat([(order[order[rows]] == rows[:, None, None]).any(-1) for rows in image.split(CHUNK)])
