"""Policies without a model: what a gain has to beat.

They write actions as a model would and go through the same episode. As many messages search as a model is asked for,
the next one answers by citing the best page of the last search, so budgets are a model's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import repeat
from typing import ClassVar

from drag_rl.episode import EpisodeConfig, Message, Searcher, neutralise
from drag_rl.episode.prompt import action_text
from drag_rl.evaluation.feedback import feedback_query
from drag_rl.retrieval import SearchIndex
from drag_rl.retrieval.bm25 import STOPWORDS
from drag_rl.retrieval.index import SearchResult
from drag_rl.trajectories.driver import Reply
from drag_rl.types import Hit, Question, best_rank


class Control:
    """One episode of a policy that knows what to search for; a subclass says it in :meth:`queries`."""

    searches_last: ClassVar[bool] = False
    """Whether it spends its last message on a search."""

    def __init__(self, question: Question, index: SearchIndex, config: EpisodeConfig) -> None:
        self.question = question
        self.index = index
        self.config = config
        self.hits: tuple[Hit, ...] = ()
        """What the last query found."""
        self._budget = config.max_turns if self.searches_last else config.search_turns
        self._listed: set[str] = set()
        self._queries = self.queries()

    @property
    def searcher(self) -> Searcher:
        """What its episode searches."""
        return self.index

    def queries(self) -> Iterator[str]:
        """The queries, one after the other; ``hits`` are those of the query before."""
        raise NotImplementedError

    def cited(self) -> str | None:
        """The page that the answer cites, None if there is none."""
        return self.hits[0].page_id if self.hits else None

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Message] | None, stop: Sequence[str]
    ) -> Reply:
        """The next message; it depends on the question alone, so the arguments are not read."""
        del messages, tools, stop
        query = next(self._queries, None) if self._budget else None
        self._budget -= 1
        if query is None:
            page_id = self.cited()
            answer = "No page found." if page_id is None else f"[{neutralise(page_id)}]"
            return Reply(text=action_text("", "answer", answer, self.config))
        without = () if self.config.repeat_pages else self._listed
        searched = self.question.searched(query, expand=self.config.expand_question)
        self.hits = self.index.search(searched, self.config.top_k, snippet_chars=0, without=without).hits
        self._listed.update(hit.page_id for hit in self.hits)
        return Reply(text=action_text("", "search", query, self.config))

    def once_or_reading_on(self, text: str) -> Iterator[str]:
        """The text as a query: once, or again and again where that shows new pages."""
        query = self.allowed(text)
        return repeat(query, 1) if self.config.repeat_pages else repeat(query)

    def allowed(self, text: str) -> str:
        """A text as a query: tags inert, control characters out, cut to the words that ``max_query_chars`` allows."""
        visible = "".join(sign if sign.isprintable() else " " for sign in text)
        return shortened(neutralise(" ".join(visible.split())), self.config.max_query_chars) or "?"


class RawQuestion(Control):
    """The question itself: once, or, where a search shows new pages only, as often as it may, which reads on."""

    def queries(self) -> Iterator[str]:
        """The question."""
        yield from self.once_or_reading_on(self.question.text)


class Keywords(Control):
    """The question without stop words, as often as the raw question.

    Stop words are the index's, and English question words where it has English ones.
    """

    def queries(self) -> Iterator[str]:
        """The words that are left; the question if none is."""
        stop = set(self.index.tokenizer.stopwords)
        if not stop or stop == set(STOPWORDS["en"]):
            stop |= set(STOPWORDS["en_plus"])
        words = [word for word in self.question.text.split() if word.strip(".,;:!?\"'()").lower() not in stop]
        yield from self.once_or_reading_on(" ".join(words) or self.question.text)


class Feedback(Control):
    """The question, then RM3 queries, each from the whole pages that the query before had found."""

    def queries(self) -> Iterator[str]:
        """Until there is nothing to learn from or a query comes back."""
        query, made = self.allowed(self.question.text), set[str]()
        while query and query not in made:
            made.add(query)
            yield query
            query = feedback_query(self.index, self.question.text, self.hits, self.config.max_query_chars)


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
        """The next ``top_k`` pages; ranks count from there, and a gold page left behind has none."""
        found = self._index.search(
            query, top_k, gold_page_ids, snippet_chars=snippet_chars, without=self._read | set(without)
        )
        self._read.update(hit.page_id for hit in found.hits)
        return found

    def __len__(self) -> int:
        return len(self._index)


CONTROLS: dict[str, type[Control]] = {
    "raw-question": RawQuestion,
    "keywords": Keywords,
    "feedback": Feedback,
    "oracle-depth": OracleDepth,
}
"""By name; a new one is a class here and a line there."""


def shortened(text: str, max_chars: int) -> str:
    """The first words of a text that fit, or the beginning of its first word; 0 means no limit.

    >>> shortened("merge two data frames", 12), shortened("merge", 3), shortened("merge", 0)
    ('merge two', 'mer', 'merge')
    """
    if not max_chars or len(text) <= max_chars:
        return text
    return text[: max_chars + 1].rpartition(" ")[0] or text[:max_chars]
