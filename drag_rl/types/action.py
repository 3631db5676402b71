"""What the policy does with a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The policy asks for pages."""

    query: str
    """What is searched; where an episode allows several queries in one search, each is a line."""
    thought: str = ""
    """What the policy wrote in ``<think>``."""
    kind: Literal["search"] = "search"

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries of the search, one or more.

        >>> Search(query="merge frames\\njoin tables").queries
        ('merge frames', 'join tables')
        """
        return tuple(self.query.split("\n"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The policy ends the episode with an answer."""

    text: str
    citations: tuple[str, ...] = ()
    """Cited page ids, in order, without repeats; not checked against what was shown."""
    thought: str = ""
    kind: Literal["answer"] = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """The policy ends the episode, for it has what is needed to answer."""

    pages: tuple[str, ...] = ()
    """The page ids that matter, in order, without repeats: only pages that the policy was shown."""
    unknown: tuple[str, ...] = ()
    """What else it named: no page that it was shown, so it counts for nothing."""
    thought: str = ""
    kind: Literal["enough"] = "enough"


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """The policy wrote something that is no action."""

    reason: str
    thought: str = ""
    kind: Literal["malformed"] = "malformed"


Action = Search | Answer | Enough | Malformed


class StopReason(StrEnum):
    """Why an episode ended."""

    ANSWERED = "answered"
    ENOUGH = "enough"
    """The policy said that it has enough."""
    MAX_TURNS = "max_turns"
    """The turn budget was spent without an answer."""
    MALFORMED = "malformed"
    """The policy's output was no action, and the configuration says that this ends the episode."""
    LENGTH = "length"
    """A token budget was spent: the last message is incomplete or the next observation would not fit."""
    ERROR = "error"
    """The server or the engine failed; only a collector records this, training stops instead."""
