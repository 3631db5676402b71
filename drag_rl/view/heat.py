"""Why pages matched: heat maps of the hits of searches, small enough to lie in a report."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from drag_rl.errors import InputError
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.retrieval.late.heat_map import CannotExplainError, HeatMap, Map, explained, warmth
from drag_rl.types import Outcome, Search
from drag_rl.view.rollout import Rollout

BUDGET_BYTES = 8 << 20
"""What all heat maps of a report may take, before base64: a byte a cell and word."""
MOST_WORDS = 24
"""Words of a search that have maps of their own, the first ones."""

Queries = tuple[str, ...]
"""What one search asked the index for: usually one text."""
Match = tuple[Queries, str]
"""A search and the id of a page that it found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """The heat maps of one page for one search."""

    words: tuple[str, ...]
    """The words that have a map."""
    rows: int
    columns: int
    cells: str
    """The warmth of the whole search's map and of each word's, each cell a byte, row by row, in base64."""

    @classmethod
    def of(cls, found: Sequence[HeatMap]) -> Heat:
        """Of a page and each of a search's queries, one or more."""
        words = [(one, number) for one in found for number in range(len(one.words))][:MOST_WORDS]
        whole = np.mean([one.whole() for one in found], axis=0)
        maps = [whole, *(one.of_word(number) for one, number in words)]
        rows, columns = whole.shape
        return cls(
            words=tuple(one.words[number].text for one, number in words),
            rows=rows,
            columns=columns,
            cells=base64.b64encode(b"".join(map(_bytes, maps))).decode(),
        )


def queries_of(outcome: Outcome, search: Search) -> Queries:
    """The texts that a search asked the index for."""
    expand = outcome.config.expand_question
    return tuple(outcome.question.searched(query, expand=expand) for query in search.queries)


def wanted_matches(rollouts: Iterable[Rollout], pictured: Collection[str], limit: int) -> list[Match]:
    """The searches and hits to explain: gold pages first, then by how often seen; at most ``limit``.

    Only pages of ``pictured`` have a picture that a map can be laid over.
    """
    gold: Counter[Match] = Counter()
    others: Counter[Match] = Counter()
    for rollout in rollouts:
        outcome = rollout.trajectory.outcome
        for turn in outcome.turns:
            if not isinstance(turn.action, Search):
                continue
            queries = queries_of(outcome, turn.action)
            for hit in turn.hits:
                if hit.page_id in pictured:
                    counts = gold if hit.page_id in outcome.question.gold_page_ids else others
                    counts[queries, hit.page_id] += 1
    ranked = [*(match for match, _ in gold.most_common()), *(match for match, _ in others.most_common())]
    return list(dict.fromkeys(ranked))[:limit]


def make_heat(
    retriever: Retriever, matches: Sequence[Match], on_progress: Callable[[], None] = lambda: None
) -> tuple[dict[Match, Heat], list[str]]:
    """The heat maps of searches and their hits, as many as fit the budget, and a note on each that is missing.

    Those of a page are made one after another, so that the model looks at each page once. Raises
    ``CannotExplainError`` for an index that has no part that sees page images.
    """
    found: dict[Match, Heat] = {}
    notes: list[str] = []
    left = BUDGET_BYTES
    places = {page_id: place for place, (_, page_id) in reversed([*enumerate(matches)])}
    by_page = sorted(matches, key=lambda match: places[match[1]])
    for number, (queries, page_id) in enumerate(by_page):
        if left <= 0:
            notes.append(f"heat maps of {len(matches) - number} more hits would make the report too large")
            break
        try:
            maps = [blocking(explained(query, page_id, retriever)) for query in queries]
        except CannotExplainError:
            raise
        except InputError as error:
            notes.append(f"no heat map of page {page_id}: {error}")
        else:
            found[queries, page_id] = heat = Heat.of(maps)
            left -= heat.rows * heat.columns * (1 + len(heat.words))
        on_progress()
    return found, notes


def _bytes(mass_RC: Map) -> bytes:
    return (warmth(mass_RC) * 255).round().astype(np.uint8).tobytes()
