"""What BM25 knows of a whole corpus: its size, and how many of its pages hold each term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bm25Statistics:
    """The statistics of a corpus, or of one that a corpus is a part of; W is its number of different terms."""

    units: int
    """How many pages it has, or passages if pages are cut into passages."""
    terms: int
    """How many terms they have in sum, repeats counted."""
    holding: npt.NDArray[Any]
    """How many of the units hold each term (W,)."""

    @property
    def mean_length(self) -> float:
        """How many terms a unit has on average; 1 if there are none, so that it can be divided by."""
        return self.terms / self.units if self.terms else 1.0

    @classmethod
    def of_all(cls, parts: Sequence[Bm25Statistics]) -> Bm25Statistics:
        """The statistics of a corpus that was cut into parts, in which terms have the same ids.

        >>> one = Bm25Statistics(units=2, terms=10, holding=np.array([1, 2]))
        >>> both = Bm25Statistics.of_all([one, one])
        >>> both.units, both.mean_length, both.holding.tolist()
        (4, 5.0, [2, 4])
        """
        holding_W = np.zeros(len(parts[0].holding), dtype=np.int64)
        for part in parts:
            holding_W += part.holding
        return cls(
            units=sum(part.units for part in parts),
            terms=sum(part.terms for part in parts),
            holding=holding_W,
        )
