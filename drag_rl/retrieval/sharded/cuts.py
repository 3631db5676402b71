"""Where a corpus is cut into shards of consecutive pages."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cuts:
    """Each shard's first page, and after the last shard the number of all pages.

    >>> cuts = Cuts.even(pages=10, shards=3)
    >>> cuts.starts, cuts.shard_of(6), [cuts.local(shard, 6) for shard in range(3)]
    ((0, 3, 6, 10), 2, [3, 3, 0])
    """

    starts: tuple[int, ...]

    @classmethod
    def even(cls, pages: int, shards: int) -> Cuts:
        """Shards of about the same size, at most one a page."""
        shards = min(shards, pages)
        return cls(tuple(pages * number // shards for number in range(shards + 1)))

    def __len__(self) -> int:
        """How many shards there are."""
        return len(self.starts) - 1

    def shard_of(self, row: int) -> int:
        """The shard of a page, by its 0-based place in page order."""
        return bisect_right(self.starts, row) - 1

    def local(self, shard: int, row: int) -> int:
        """How many pages of a shard come before a page: for a page of the shard itself, its place in there."""
        begin, end = self.starts[shard], self.starts[shard + 1]
        return min(max(row, begin), end) - begin
