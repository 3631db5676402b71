"""Several rankings of one search as one: hits, and the ranks of tracked pages."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from drag_rl.protocol import CombineMethod
from drag_rl.retrieval.base import Ranking
from drag_rl.retrieval.combine.methods import combine
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Hit


class CombinedPages:
    """The pages of several rankings in one order; pages that none of them lists are not ranked."""

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
        """``rankings`` were each searched with ``top_k=depth`` and no page left out; see ``combine`` for the rest."""
        lists = [
            list(
                zip(
                    pages.rows([hit.page_id for hit in ranking.hits]),
                    (hit.score for hit in ranking.hits),
                    strict=True,
                )
            )
            for ranking in rankings
        ]
        self._pages = pages
        self._best = combine(lists, method, weights=weights, normalise=normalise)
        self._ranks = {row: rank for rank, (row, _) in enumerate(self._best, start=1)}
        self._whole = all(
            ranking.exact_to is None and (len(ranking.hits) < depth or depth >= len(pages))
            for ranking in rankings
        )
        """Whether the rankings list every page that they can find, so that none can be missing here."""

    def ranking(self, top_k: int, track: Collection[str] = (), without: Collection[str] = ()) -> Ranking:
        """The best ``top_k`` pages and the ranks of ``track``, as if the pages of ``without`` were not there.

        ``exact_to`` is the number of ranked pages, or None where no page can be missing.
        """
        left_out = {row for row in self._pages.rows(without) if row in self._ranks}
        best = [scored for scored in self._best if scored[0] not in left_out] if left_out else self._best
        return Ranking(
            hits=tuple(
                Hit(page_id=self._pages.page_ids[row], rank=rank, score=score)
                for rank, (row, score) in enumerate(best[:top_k], start=1)
            ),
            tracked=tuple(self._rank(row, left_out) for row in self._pages.rows(track)),
            exact_to=None if self._whole else len(best),
        )

    def _rank(self, row: int, left_out: Collection[int]) -> int | None:
        rank = self._ranks.get(row)
        if rank is None or row in left_out:
            return None
        return rank - sum(self._ranks[other] < rank for other in left_out)
