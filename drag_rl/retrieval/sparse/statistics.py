"""What BM25 knows of a whole corpus: its size, and how many of its pages hold a term."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bm25Statistics:
    """The statistics of a corpus, or of one that a corpus is a part of."""

    units: int
    """How many pages it has, or passages if pages are cut into passages."""
    terms: int
    """How many terms they have in sum, repeats counted."""
    holding: Callable[[Sequence[str]], list[int]]
    """For each of some terms, how many of the units hold it."""

    @property
    def mean_length(self) -> float:
        """How many terms a unit has on average; 1 if there are none, so that it can be divided by."""
        return self.terms / self.units if self.terms else 1.0

    @classmethod
    def of_all(cls, parts: Sequence[Bm25Statistics]) -> Bm25Statistics:
        """The statistics of a corpus that was cut into parts.

        >>> one = Bm25Statistics(units=2, terms=10, holding=lambda terms: [1 for _ in terms])
        >>> both = Bm25Statistics.of_all([one, one])
        >>> both.units, both.mean_length, both.holding(["save", "file"])
        (4, 5.0, [2, 2])
        """
        return cls(
            units=sum(part.units for part in parts),
            terms=sum(part.terms for part in parts),
            holding=lambda terms: [
                sum(of_term) for of_term in zip(*(part.holding(terms) for part in parts), strict=True)
            ],
        )
