"""A first stage's ranking with its best pages in a scorer's order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from drag_rl.retrieval.base import Query, Ranking
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Hit


class RerankedPages:
    """The candidates best first by their scores, then the other pages as the first stage ranks them."""

    def __init__(self, pages: PageTexts, asked: Query, first: Ranking, scores: Sequence[float]) -> None:
        """``first`` is the ranking of ``asked``, which leaves no page out; its best pages have the ``scores``.

        What a first stage and a scorer say is not comparable, so each page beyond them is given a score 1 below that of
        the page before it.
        """
        candidates, others = first.hits[: len(scores)], first.hits[len(scores) :]
        rows = pages.rows([hit.page_id for hit in candidates])
        scored = zip(rows, scores, (hit.page_id for hit in candidates), strict=True)
        self._best = [
            (page_id, score) for _, score, page_id in sorted(scored, key=lambda one: (-one[1], one[0]))
        ]
        self._ranks = dict(zip(asked.track, first.tracked, strict=True))
        self._ranks |= {page_id: rank for rank, (page_id, _) in enumerate(self._best, start=1)}
        least = min(scores, default=0.0)
        self._best += [(hit.page_id, least - below) for below, hit in enumerate(others, start=1)]
        self._exact_to = first.exact_to

    def ranking(self, top_k: int, track: Collection[str] = (), without: Collection[str] = ()) -> Ranking:
        """The best ``top_k`` pages and the ranks of ``track``, as if the pages of ``without`` were not there.

        The first stage was asked to track both, and for ``top_k`` pages more than are left out.
        """
        best = [one for one in self._best if one[0] not in without] if without else self._best
        above = sorted(rank for page_id in without if (rank := self._ranks[page_id]) is not None)
        return Ranking(
            hits=tuple(
                Hit(page_id=page_id, rank=rank, score=score)
                for rank, (page_id, score) in enumerate(best[:top_k], start=1)
            ),
            tracked=tuple(
                None
                if page_id in without or (rank := self._ranks[page_id]) is None
                else rank - sum(other < rank for other in above)
                for page_id in track
            ),
            exact_to=None if self._exact_to is None else self._exact_to - len(above),
        )
