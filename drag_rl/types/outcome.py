"""A finished episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from drag_rl.protocol import EpisodeConfig
from drag_rl.types.action import Answer, Enough, Malformed, Search, StopReason
from drag_rl.types.coverage import gold_coverage
from drag_rl.types.older import with_config
from drag_rl.types.question import Question
from drag_rl.types.rank import best_rank, query_key, within
from drag_rl.types.turn import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished episode: all that a reward may read, and the core of a trajectory.

    What can be said of an episode is a property here, so that rewards, metrics and the viewer say the same.
    """

    question: Question
    turns: tuple[Turn, ...]
    stop_reason: StopReason
    config: EpisodeConfig
    """What the episode was allowed to do, and what was asked of the policy."""
    corpus_pages: int
    """How many pages were searched, those of ``scope`` where it has one; the worst rank that a page can have."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic reads an outcome: those of older versions too."""
        return core_schema.no_info_before_validator_function(with_config, handler(source))

    @property
    def scope(self) -> str | None:
        """The document in which every search stayed; None where the whole corpus was searched."""
        return self.question.searched_in(self.config.scope)

    @property
    def searches(self) -> tuple[Turn, ...]:
        """The turns that searched, in order."""
        return tuple(turn for turn in self.turns if isinstance(turn.action, Search))

    @property
    def queries(self) -> tuple[str, ...]:
        """The policy's own words of each search, in order; several queries of one search are lines of one text."""
        return tuple(turn.action.query for turn in self.turns if isinstance(turn.action, Search))

    @property
    def malformed(self) -> int:
        """How many messages were no action."""
        return sum(isinstance(turn.action, Malformed) for turn in self.turns)

    @property
    def shown_page_ids(self) -> frozenset[str]:
        """Every page that the policy was shown before its last message."""
        return frozenset(page_id for turn in self.turns for page_id in turn.shown_page_ids)

    @property
    def answer(self) -> Answer | None:
        """The final answer, if the episode ended with one."""
        last = self.turns[-1].action if self.turns else None
        return last if isinstance(last, Answer) else None

    @property
    def answer_asked(self) -> bool:
        """Whether the policy was asked for an answer; if not, what measures answers does not apply."""
        return self.config.answer_asked

    @property
    def enough(self) -> Enough | None:
        """The last message, if the policy ended the episode by saying that it has enough."""
        last = self.turns[-1].action if self.turns else None
        return last if isinstance(last, Enough) else None

    @property
    def stops_itself(self) -> bool:
        """Whether the policy ended the episode, by an answer or ``enough``, on a turn that was meant for a search."""
        ended = self.answer is not None or self.enough is not None
        return ended and len(self.turns) <= self.config.search_turns

    @property
    def coverage(self) -> tuple[float, ...]:
        """After each turn, the share of the gold pages that the searches so far had in their top k."""
        return gold_coverage(self.turns, len(self.question.gold_page_ids), self.config.top_k)

    @property
    def searches_to_cover(self) -> int | None:
        """How many searches it took to have every gold page in their top k; None where some never was.

        From there on the episode has enough, as far as the gold pages tell.
        """
        covered = (
            self.searches.index(turn) + 1
            for turn, share in zip(self.turns, self.coverage, strict=True)
            if share == 1.0 and isinstance(turn.action, Search)
        )
        return next(covered, None)

    @property
    def best_gold_rank(self) -> int | None:
        """The best rank of a gold page over all searches; None if none was ever ranked."""
        return best_rank(tuple(turn.gold_rank for turn in self.turns))

    @property
    def first_find(self) -> Turn | None:
        """The first search that had a gold page in its top k, if one did."""
        return next((turn for turn in self.turns if self.finds(turn)), None)

    @property
    def solved(self) -> bool:
        """Whether some search had a gold page in its top k."""
        return self.first_find is not None

    @property
    def repeated(self) -> tuple[bool, ...]:
        """For each turn, whether it searches words that were searched before, and lists no page not listed before.

        With ``repeat_pages=false`` the same words read on in the ranking: such a search repeats nothing.
        """
        keys: set[tuple[str, ...]] = set()
        listed: set[str] = set()
        repeated = []
        for turn in self.turns:
            pages = {hit.page_id for hit in turn.hits}
            key = query_key(turn.action.query) if isinstance(turn.action, Search) else None
            repeated.append(key in keys and pages <= listed)
            if key is not None:
                keys.add(key)
            listed |= pages
        return tuple(repeated)

    def finds(self, turn: Turn) -> bool:
        """Whether a turn's search had a gold page in its top k."""
        return within(turn.gold_rank, self.config.top_k)

    def corpus_ranks(self, turn: Turn) -> tuple[int | None, ...] | None:
        """The exact rank over all pages that are searched of each gold page in a turn's search.

        None where the record is too old to say: pages were not repeated, and earlier searches had listed some.
        """
        if turn.corpus_ranks is not None:
            return turn.corpus_ranks
        earlier = self.turns[: turn.step - 1]
        left_out = not self.config.repeat_pages and any(other.hits for other in earlier)
        return None if left_out else turn.gold_ranks
