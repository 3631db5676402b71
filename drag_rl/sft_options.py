"""What supervised training on conversations may set: which tokens carry loss, and how much each row weighs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from pydantic import Field, field_validator

from drag_rl.config import Config
from drag_rl.protocol import MAX_PIXELS
from drag_rl.tables import Table

MaskStrategy = Literal["assistant", "none", "search-only"]
MASK_STRATEGIES: tuple[str, ...] = get_args(MaskStrategy)

WEIGHT_SCHEMES: Table[Callable[[Mapping[str, Any]], float]] = Table(
    "weight scheme",
    {
        "rank-score": lambda row: float(row["rank_score"]),
        "none": lambda row: 1.0,  # noqa: ARG005
        "binary": lambda row: 1.0 if row["best_rank"] == 1 else 0.5,
    },
    group="drag_rl.weight_schemes",
)
"""Name -> weight of a row of ``drag format``, in [0, 1]."""


class SFTOptions(Config):
    """``data.drag`` of configs/sft.yaml."""

    mask_strategy: MaskStrategy = "assistant"
    """Which tokens carry loss: those of the assistant, all (``none``), or those of ``<search>...</search>`` or
    ``<tool_call>`` (``search-only``)."""
    turns: Literal["useful", "all"] = "useful"
    """``useful``: assistant messages that the row marks as wasted (``turn_train`` false) carry no loss."""
    weight_scheme: str = "rank-score"
    """How much a row counts: ``rank-score``, ``none`` (all rows 1), or ``binary`` (1 for a gold page at rank 1, else
    0.5)."""
    max_pixels: int = Field(default=MAX_PIXELS, ge=1)
    """Larger images are refused: they are not what ``drag format`` wrote."""

    @field_validator("weight_scheme")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in WEIGHT_SCHEMES:
            raise ValueError(WEIGHT_SCHEMES.unknown(name))
        return name
