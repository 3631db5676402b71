"""What a prompted policy reads and writes as text: prompts with pages in them, and queries on one line."""

from __future__ import annotations

from collections.abc import Sequence

from drag_rl.episode import EpisodeConfig, neutralise
from drag_rl.episode.observation import shown_as
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import allowed, shortened
from drag_rl.types import Hit

QUERY_CHARS = 8000
"""Characters of a query, at most: a method searches what its paper searches, but nothing is without end."""


def as_query(text: str, config: EpisodeConfig) -> str:
    """A text as queries that an episode takes, one a line where it allows several: never empty, never without end."""
    lines = text.split("\n") if config.queries_per_turn > 1 else [text]
    queries = [allowed(shortened(one_line(line), QUERY_CHARS), config) for line in lines if line.strip()]
    return "\n".join(queries[: config.queries_per_turn]) or "?"


def one_line(text: str) -> str:
    """A text without control characters, its words one space apart."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def pages_of(state: EpisodeState, at_most: int | None = None) -> tuple[Hit, ...]:
    """The pages that all searches so far have found, each once, in the order of their finding."""
    found: dict[str, Hit] = {}
    for turn in state.turns:
        for hit in turn.hits:
            found.setdefault(hit.page_id, hit)
    return tuple(found.values())[:at_most]


def last_pages(state: EpisodeState) -> tuple[Hit, ...]:
    """The pages that the last search has found."""
    return state.turns[-1].hits if state.turns else ()


def with_pages(state: EpisodeState, pages: Sequence[Hit]) -> str:
    """The beginning of a prompt: pages, as far as the episode shows them, and the question; tags in both are inert."""
    lines = [f"[{shown_as(hit.page_id)}] {neutralise(one_line(hit.snippet))}" for hit in pages]
    listed = "Pages:\n" + "\n".join(lines) + "\n\n" if lines else ""
    return f"{listed}Question: {neutralise(one_line(state.question.text))}\n"
