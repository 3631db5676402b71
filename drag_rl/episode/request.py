"""What an episode asks of a retriever for one search, and how it reads the answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from drag_rl.errors import InputError
from drag_rl.protocol import CombineMethod, EpisodeConfig
from drag_rl.retrieval import CombinedPages, PageTexts, Query, Ranking
from drag_rl.types import Question, Search

COMBINED_DEPTH = 1000
"""Where a search has several queries, the best so many pages of each are put together; ranks are exact that far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """A search that an episode waits for: hand the rankings of all ``queries`` to ``SearchEpisode.show``."""

    queries: tuple[Query, ...]
    """A query of the policy's each, in the question's document where the episode says so. Of a single one that leaves
    pages out, a second one asks for the gold pages' ranks with these; a retriever scores equal texts once."""
    top_k: int
    """Hits of each query, at most."""
    combine: CombineMethod | None = None
    """How the rankings of several queries become one; None for a single query of the policy's."""
    gold: tuple[str, ...] = ()
    """Pages whose ranks are wanted."""
    without: frozenset[str] = frozenset()
    """Pages that are not to be listed again."""

    @classmethod
    def of(
        cls, search: Search, question: Question, config: EpisodeConfig, listed: Collection[str]
    ) -> SearchRequest:
        """What to ask for a search; ``listed`` are the pages that earlier ones have listed."""
        gold = question.gold_page_ids
        without = frozenset() if config.repeat_pages else frozenset(listed)
        scope = question.searched_in(config.scope)
        texts = [question.searched(query, expand=config.expand_question) for query in search.queries]
        if len(texts) > 1:
            queries = tuple(Query(text=text, scope=scope) for text in texts)
            return cls(
                queries=queries, top_k=COMBINED_DEPTH, combine=config.combine, gold=gold, without=without
            )
        whole = Query(text=texts[0], scope=scope, track=gold)
        others = [replace(whole, without=without)] if without else []
        return cls(queries=(*others, whole), top_k=config.top_k, gold=gold, without=without)

    @property
    def words(self) -> str:
        """The words of all queries, by which snippets are cut."""
        return " ".join(dict.fromkeys(query.text for query in self.queries))

    def rankings(self, found: Sequence[Ranking], pages: PageTexts, top_k: int) -> tuple[Ranking, Ranking]:
        """The ranking to show, with up to ``top_k`` hits, and the one over all pages that are searched.

        ``found`` are the rankings of ``queries``, in their order. Raises ValueError for another number of them.
        """
        if len(found) != len(self.queries):
            raise ValueError(f"{len(found)} rankings for {len(self.queries)} queries")
        if self.combine is None:
            return replace(found[0], hits=found[0].hits[:top_k]), found[-1]
        together = CombinedPages(found, self.top_k, pages, self.combine)
        return together.ranking(top_k, self.gold, self.without), together.ranking(0, self.gold)


def pages_searched(question: Question, pages: PageTexts, config: EpisodeConfig) -> int:
    """How many pages an episode searches: those of the corpus, or of the document that its question is asked of.

    Raises InputError, naming the question, for a document in which it would search without a page in the index.
    """
    scope = question.searched_in(config.scope)
    if scope is None:
        return len(pages)
    try:
        return len(pages.rows_of(scope))
    except InputError as error:
        raise InputError(
            f"question {question.question_id}: {error}; it is asked of that document, in which scope=document searches"
        ) from None
