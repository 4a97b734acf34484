"""Centres of the batches before, for Eq. 10-12.

Shape legend: N features of a batch, D their width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from msclnet.losses.centers import same_group


class CentreMemory(nn.Module):
    """Centres of sub-classes (identity, camera) and of identities, kept over a training.

    A centre is ``share`` times the one that is kept and ``1 - share`` times the batch's mean. Gradients flow through
    the batch's part. What was never seen has the batch's mean. A batch has few images of a sub-class, often one; with
    a memory that one still has a centre to be drawn to. MCLNet keeps its centres, too, as parameters.
    """

    def __init__(self, identities: int, cameras: Tensor, width: int, share: float) -> None:
        """Remembers nothing yet.

        Args:
            identities: their number; labels are ``0..identities - 1``.
            cameras: int64, every camera there is, ascending, as ``inputs.cascade_cameras`` numbers them.
            width: D.
            share: in [0, 1), of what is kept.
        """
        super().__init__()
        self.share = share
        self.cameras: Tensor
        self.register_buffer("cameras", cameras)
        self.register_buffer("sub_classes", torch.zeros(identities * len(cameras), width))
        self.register_buffer("identities", torch.zeros(identities, width))
        self.register_buffer("sub_classes_seen", torch.zeros(identities * len(cameras), dtype=torch.bool))
        self.register_buffer("identities_seen", torch.zeros(identities, dtype=torch.bool))
        self._new: dict[str, tuple[Tensor, Tensor]] = {}

    def of_sub_classes(self, centres: Tensor, identities: Tensor, cameras: Tensor) -> Tensor:
        """Each feature's sub-class's centre, ``[N, D]``, from that of the batch ``[N, D]``."""
        places = identities * len(self.cameras) + torch.searchsorted(self.cameras, cameras)
        return self._mixed("sub_classes", places, centres)

    def of_identities(self, centres: Tensor, identities: Tensor) -> Tensor:
        """Each feature's identity's centre, ``[N, D]``, from that of the batch ``[N, D]``."""
        return self._mixed("identities", identities, centres)

    def remember(self) -> None:
        """Keeps the centres of the batch at hand; called once after each step."""
        for name, (places, centres) in self._new.items():
            getattr(self, name)[places] = centres
            getattr(self, f"{name}_seen")[places] = True
        self._new.clear()

    def _mixed(self, name: str, places: Tensor, centres: Tensor) -> Tensor:
        kept, seen = getattr(self, name)[places], getattr(self, f"{name}_seen")[places]
        mixed = torch.where(seen[:, None], self.share * kept + (1 - self.share) * centres, centres)
        # Rows of one place may differ in their last bits: the first is kept, in whatever order they are written.
        self._new[name] = places, mixed.detach()[same_group(places).to(torch.uint8).argmax(1)]
        return mixed
