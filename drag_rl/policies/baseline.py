"""The episode of a policy without a model: it writes actions as a model would, within a model's budget.

As many messages search as a model is asked for; the next one answers by citing the best page of the last search.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import ClassVar

from drag_rl.episode import EpisodeConfig, Message, Searcher, neutralise
from drag_rl.episode.prompt import action_text
from drag_rl.policies.play import Reply
from drag_rl.retrieval import SearchIndex
from drag_rl.types import Hit, Question
from drag_rl.words import UNSPACED


class Control(ABC):
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

    @abstractmethod
    def queries(self) -> Iterator[str]:
        """The queries, one after the other; ``hits`` are those of the query before."""

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


def shortened(text: str, max_chars: int) -> str:
    """The first words of a text that fit, or the beginning of its first word; 0 means no limit.

    >>> shortened("merge two data frames", 12), shortened("merge", 3), shortened("merge", 0)
    ('merge two', 'mer', 'merge')
    """
    if not max_chars or len(text) <= max_chars:
        return text
    if UNSPACED.match(text, max_chars):
        return text[:max_chars].rstrip()
    return text[: max_chars + 1].rpartition(" ")[0] or text[:max_chars]
