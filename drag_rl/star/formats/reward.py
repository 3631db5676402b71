"""Queries and how well they did, for a reward model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from drag_rl.episode import Message
from drag_rl.star.formats.conversation import Conversations, QuestionGroup
from drag_rl.star.turns import queries_alone
from drag_rl.types import query_key
from reward.rank import deep_rank, rank_score


def schema(_: Sequence[Message] | None) -> pa.Schema:
    """The columns of a file of scored queries."""
    columns: dict[str, pa.DataType] = {
        "question": pa.string(),
        "query": pa.string(),
        "rank_score": pa.float64(),
        "deep_rank": pa.float64(),
        "best_rank": pa.int64(),
        "question_id": pa.string(),
        "document": pa.string(),
        "data_source": pa.string(),
    }
    return pa.schema(columns)


def rows(group: QuestionGroup, _: Conversations, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """Each different query of a question once, in the order of samples and steps, with its score and its
    exact rank over the whole corpus."""
    seen: set[tuple[str, ...]] = set()
    for trajectory in (*group.kept, *group.others):
        for _turn, query, rank in queries_alone(trajectory.outcome):
            if query_key(query) in seen:
                counts["reward_repeated_query"] += 1
                continue
            seen.add(query_key(query))
            yield {
                "question": group.question.text,
                "query": query,
                "rank_score": rank_score(rank, trajectory.outcome.config.top_k),
                "deep_rank": deep_rank(rank),
                "best_rank": rank,
                "question_id": group.question.question_id,
                "document": group.document,
                "data_source": group.question.data_source,
            }
