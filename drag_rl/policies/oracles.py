"""Policies that know the gold pages: how far a policy of some kind could come."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import repeat
from math import inf
from typing import ClassVar

from drag_rl.episode import Searcher, neutralise
from drag_rl.policies.baseline import Control
from drag_rl.retrieval import SearchIndex
from drag_rl.retrieval.sparse.index import SearchResult
from drag_rl.types import best_rank
from drag_rl.words import words


class OracleDepth(Control):
    """Reads on in the ranking of the question, as deep as a whole budget of searches can, and knows when to stop.

    An upper bound for policies that keep to the question's words: it succeeds if a gold page is among its first
    ``max_turns * top_k`` pages. Each search is of the pages not shown before.
    """

    searches_last: ClassVar[bool] = True

    @property
    def searcher(self) -> Searcher:
        """The index, read page by page."""
        return _ReadOn(self.index)

    def queries(self) -> Iterator[str]:
        """The question, until its ranking has come to a gold page."""
        query = self.allowed(self.question.text)
        found = self.index.search(query, 1, self.question.gold_page_ids, snippet_chars=0)
        rank = best_rank(found.gold_ranks)
        self._gold = self.question.gold_page_ids[found.gold_ranks.index(rank)]
        yield from repeat(query) if rank is None else repeat(query, -(-rank // self.config.top_k))

    def cited(self) -> str | None:
        """The gold page that ranks best: it answers only when that has been shown."""
        return self._gold


class OracleWords(Control):
    """The question and, said again, those of its own words that rank its gold page best: once, or reading on.

    An upper bound for policies that weigh the question's words (found by forward selection: the word that helps
    most, then the one that helps most beside it, until none does; so not always the best of all choices).
    """

    def queries(self) -> Iterator[str]:
        """The words alone where the question is searched with them, else the question and they."""
        own = list(dict.fromkeys(word for _, word in words(neutralise(self.question.text))))
        said: list[str] = []
        rank = self._rank(said)
        while rank > 1 and (choices := [[*said, word] for word in own if word not in said]):
            best, number = min((self._rank(choice), number) for number, choice in enumerate(choices))
            if best >= rank:
                break
            said, rank = choices[number], best
        yield from self.once_or_reading_on(self._query(said))

    def _query(self, said: Sequence[str]) -> str:
        expansion = bool(said) and self.config.expand_question
        return self.allowed(" ".join(said if expansion else [self.question.text, *said]))

    def _rank(self, said: Sequence[str]) -> float:
        searched = self.question.searched(self._query(said), expand=self.config.expand_question)
        found = self.index.search(searched, 1, self.question.gold_page_ids, snippet_chars=0)
        return best_rank(found.gold_ranks) or inf


class _ReadOn:
    """An index whose every further search of one episode leaves out the pages of those before."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index
        self._read: set[str] = set()

    def search(
        self,
        query: str,
        top_k: int,
        gold_page_ids: Sequence[str],
        *,
        snippet_chars: int,
        without: Collection[str] = (),
    ) -> SearchResult:
        """The next ``top_k`` pages; gold ranks count from there, and a gold page left behind has none."""
        found = self._index.search(
            query, top_k, gold_page_ids, snippet_chars=snippet_chars, without=self._read | set(without)
        )
        self._read.update(hit.page_id for hit in found.hits)
        return found

    def page(self, page_id: str) -> str:
        """The text of a page."""
        return self._index.page(page_id)

    def __len__(self) -> int:
        return len(self._index)
