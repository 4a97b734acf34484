"""How the paper's equations are read, where print leaves a choice: the configuration's section ``objective``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from msclnet.core.section import Section

Feature = Literal["visible", "infrared", "synergy"]


class Readings(Section):
    """The readings shared by all methods; each default is argued in docs/decisions.md. Imports no torch."""

    margin: float = Field(ge=0, allow_inf_nan=False, description="of the batch-hard triplet")
    wrt_weights: Literal["public", "softmax"] = Field(
        description="of WRT: as AGW's `public` code computes them, whose negatives fade beyond a distance of 15 or so, "
        "or a `softmax`, whose weights add up to 1 at any distance"
    )
    divergence_of: Literal["posteriors", "channels"] = Field(
        description="what Eq. 3 compares: the identities' `posteriors`, or a softmax over the `channels`"
    )
    divergence_ceiling: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        description="of Eq. 3, in nats: a pair's divergence counts up to it; null is the printed, unbounded form"
    )
    local_form: Literal["decreasing", "printed"] = Field(description="of Eq. 6")
    local_parts: Literal["centred", "raw"] = Field(
        description="what Eq. 6 compares: parts less their mean over the batch, or as they are pooled"
    )
    separation_form: Literal["cosine", "overlap"] = Field(
        description="what keeps masks apart: the `cosine` of two, or their `overlap`, as in MPANet"
    )
    centre_space: Literal["neck", "normalised", "raw"] = Field(
        description="where Eq. 7 and 10-12 measure distances: on the unit sphere after the BN neck or before it, or raw"
    )
    cascade_on: tuple[Feature, ...] = Field(
        min_length=1,
        description="the features that CA acts on, Eq. 16. `synergy` has a camera of its own; alone, as Eq. 10 prints "
        "it, that of a feature is the pair of its two images' cameras",
    )
    centre_memory: float = Field(
        ge=0,
        lt=1,
        description="share of a centre of Eq. 10-12 that is remembered from the batches before; 0: the batch's own",
    )
