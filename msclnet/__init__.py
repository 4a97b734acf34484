"""MSCLNet (Zhang et al., ECCV 2022): visible-infrared person re-identification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msclnet.core.types import Modality
    from msclnet.evaluation.embedding import embed
    from msclnet.evaluation.scoring import evaluate
    from msclnet.model.files import load_model

__all__ = ["Modality", "embed", "evaluate", "load_model"]


def __getattr__(name: str) -> Any:
    """Imports on first use: reading the configuration must not cost the import of torch."""
    match name:
        case "evaluate":
            from msclnet.evaluation.scoring import evaluate

            return evaluate
        case "load_model":
            from msclnet.model.files import load_model

            return load_model
        case "embed":
            from msclnet.evaluation.embedding import embed

            return embed
        case "Modality":
            from msclnet.core.types import Modality

            return Modality
        case _:
            raise AttributeError(f"module 'msclnet' has no attribute {name!r}")
