"""The BM25 formula, in its variants, as bm25s has them (Kamphuis et al., ECIR 2020).

The score of a unit (a page or passage) is the sum over the query's terms, repeats kept, of

    idf * factor * count / (k1 * (1 - b + b * length / mean length) + count)

with ``factor`` ``k1 + 1`` in ATIRE's variant and 1 in the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Method = Literal["lucene", "robertson", "atire"]
"""The BM25 variants in which a page that shares no term with the query scores 0: a rank needs that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A variant and its parameters: ``k1`` >= 0, ``b`` in [0, 1]."""

    method: Method = "lucene"
    k1: float = 1.5
    b: float = 0.75

    @property
    def factor(self) -> np.float32:
        """What the number of times that a unit holds a term is multiplied with."""
        return np.float32(self.k1 + 1 if self.method == "atire" else 1)

    def idf(self, units: int, holding: int) -> float:
        """How telling a term is that ``holding`` (at least one) of the corpus's units hold; 0 or more.

        >>> [round(Formula(method=method).idf(3, 1), 3) for method in ("lucene", "robertson", "atire")]
        [0.981, 0.511, 1.099]
        """
        if self.method == "atire":
            return math.log(units / holding)
        odds = (units - holding + 0.5) / (holding + 0.5)
        return math.log(max(odds, 1.0)) if self.method == "robertson" else math.log(1 + odds)

    def norms(self, longest: int, mean_length: float) -> npt.NDArray[np.float64]:
        """What is added to the count in the denominator, for units of 0, 1, 2 ... ``longest`` terms."""
        lengths = np.arange(longest + 1, dtype=np.float64)
        return self.k1 * ((1 - self.b) + self.b * lengths / mean_length)
