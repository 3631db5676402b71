"""Several rankings of one search as one: hits, and the ranks of tracked pages."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence

from drag_rl.protocol import CombineMethod
from drag_rl.retrieval.base import Ranking
from drag_rl.retrieval.combine.methods import combined_scores
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Hit


class CombinedPages:
    """The pages of several rankings in one order; pages that none of them lists are not ranked.

    The place of a page among those of equal score is looked up only where a hit or a rank depends on it: of a large
    corpus that takes longer than all the rest.
    """

    def __init__(
        self,
        rankings: Sequence[Ranking],
        depth: int,
        pages: PageTexts,
        method: CombineMethod,
        *,
        weights: Sequence[float] = (),
        normalise: bool = False,
    ) -> None:
        """``rankings`` were each searched with ``top_k=depth`` and no page left out.

        See :func:`drag_rl.retrieval.combine.methods.combined_scores` for the rest.
        """
        lists = [[(hit.page_id, hit.score) for hit in ranking.hits] for ranking in rankings]
        self._pages = pages
        self._scores = combined_scores(lists, method, weights=weights, normalise=normalise)
        self._best = sorted(self._scores, key=self._scores.__getitem__, reverse=True)
        """Best first, equal ones in no order."""
        self._keys = [-self._scores[page_id] for page_id in self._best]
        """Rising, aligned with it."""
        self._whole = all(
            ranking.exact_to is None and (len(ranking.hits) < depth or depth >= len(pages))
            for ranking in rankings
        )
        """Whether the rankings list every page that they can find, so that none can be missing here."""

    def ranking(self, top_k: int, track: Collection[str] = (), without: Collection[str] = ()) -> Ranking:
        """The best ``top_k`` pages and the ranks of ``track``, as if the pages of ``without`` were not there.

        ``exact_to`` is the number of ranked pages, or None where no page can be missing. Raises ``InputError`` for a
        page that is not in the index.
        """
        self._pages.rows([*track, *without])
        left_out = {page_id for page_id in without if page_id in self._scores}
        return Ranking(
            hits=tuple(
                Hit(page_id=page_id, rank=rank, score=self._scores[page_id])
                for rank, page_id in zip(range(1, top_k + 1), self._in_order(left_out), strict=False)
            ),
            tracked=tuple(self._rank(page_id, left_out) for page_id in track),
            exact_to=None if self._whole else len(self._best) - len(left_out),
        )

    def _in_order(self, left_out: Collection[str]) -> Iterator[str]:
        """The pages that are left, best first, equal ones in page order."""
        start = 0
        while start < len(self._best):
            alike = self._alike(self._keys[start])
            left = [page_id for page_id in alike if page_id not in left_out]
            yield from sorted(left, key=self._pages.row) if len(left) > 1 else left
            start += len(alike)

    def _alike(self, key: float) -> list[str]:
        """The pages of one score, in no order."""
        return self._best[bisect_left(self._keys, key) : bisect_right(self._keys, key)]

    def _rank(self, page_id: str, left_out: Collection[str]) -> int | None:
        """The 1-based rank of a page among those that are left."""
        if page_id in left_out or page_id not in self._scores:
            return None
        key, row = -self._scores[page_id], self._pages.row(page_id)
        alike = [other for other in self._alike(key) if other not in left_out]
        better = bisect_left(self._keys, key) - sum(-self._scores[other] < key for other in left_out)
        return better + 1 + sum(self._pages.row(other) < row for other in alike if other != page_id)
