"""What baselines have in common: they write actions as a model would, within a model's budget.

As many messages search as a model is asked for; the next one answers by citing the best page of the last search, or,
where no answer is asked for, says that it has enough and keeps every page that it was shown.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from drag_rl.episode import EpisodeConfig, neutralise
from drag_rl.episode.enough import enough_text
from drag_rl.episode.prompt import action_text
from drag_rl.policies.base import EpisodeState, Reply
from drag_rl.policies.local import LocalPolicy
from drag_rl.types import Search
from drag_rl.words import UNSPACED


class Baseline(LocalPolicy):
    """One episode of a policy that knows what to search for; a subclass says it in :meth:`query`."""

    searches_last: ClassVar[bool] = False
    """Whether it spends its last message on a search."""

    @abstractmethod
    async def query(self, state: EpisodeState) -> str | None:
        """The next query; None when there is nothing left to search for."""

    def cited(self, state: EpisodeState) -> str | None:
        """The page that the answer cites, None if there is none: the best hit of the last search."""
        hits = state.turns[-1].hits if state.turns else ()
        return hits[0].page_id if hits else None

    async def reply(self, state: EpisodeState) -> Reply:
        """The next message: a search while there is budget and something to search for, then the answer."""
        config = state.config
        budget = config.max_turns if self.searches_last else config.search_turns
        query = await self.query(state) if len(state.turns) < budget else None
        if query is not None:
            return Reply(text=action_text("", "search", query, config))
        if config.enough and not config.answer_asked:
            return Reply(text=enough(state, pages_shown(state)))
        page_id = self.cited(state)
        answer = "No page found." if page_id is None else f"[{neutralise(page_id)}]"
        return Reply(text=action_text("", "answer", answer, config))


def pages_shown(state: EpisodeState) -> tuple[str, ...]:
    """The pages that the policy was shown, each once, in the order of first sight."""
    return tuple(dict.fromkeys(page_id for turn in state.turns for page_id in turn.shown_page_ids))


def enough(state: EpisodeState, page_ids: Sequence[str]) -> str:
    """A message that ends the episode by naming pages that were shown."""
    return enough_text("", page_ids, state.turns, state.config)


def again(state: EpisodeState) -> str | None:
    """The last query once more where that shows new pages (it reads on in the ranking); else None."""
    last = state.turns[-1].action
    return last.query if isinstance(last, Search) and not state.config.repeat_pages else None


def allowed(text: str, config: EpisodeConfig) -> str:
    """A text as a query: tags inert, control characters out, cut to the words that ``max_query_chars`` allows."""
    visible = "".join(sign if sign.isprintable() else " " for sign in text)
    return shortened(neutralise(" ".join(visible.split())), config.max_query_chars) or "?"


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
