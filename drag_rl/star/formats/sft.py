"""Examples to follow: single queries, whole conversations, and the better query after attempts that failed.

Every row has the same columns. ``turn_train`` says for each assistant message of ``messages``, worked examples of the
prompt included, whether it is one to learn; ``rank_score`` and ``best_rank`` are what weight schemes read: of a single
query its rank over the whole corpus, of a conversation the rank that its searches had there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from drag_rl.episode import Message
from drag_rl.star.formats.conversation import Chat, Conversations, QuestionGroup, document_of
from drag_rl.star.formats.stopping import stop_example
from drag_rl.star.turns import queries_alone, searches, wasted_turns
from drag_rl.types import Trajectory, Turn, best_rank, within
from reward.rank import rank_score

Row = dict[str, Any]
Examples = Iterator[Row]

IMAGES = pa.list_(pa.struct([("image", pa.string())]))


def messages_type(tools: Sequence[Message] | None) -> pa.DataType:
    """The column type of messages; with native tools a message may have a ``name``."""
    names = ("role", "content", "name") if tools else ("role", "content")
    return pa.list_(pa.struct([(name, pa.string()) for name in names]))


def tools_column(tools: Sequence[Message] | None) -> dict[str, pa.DataType]:
    """The column of tool schemas, which is there only when actions are tool calls."""
    schemas: Any = [tools]
    return {"tools": pa.array(schemas).type} if tools else {}


def schema(tools: Sequence[Message] | None) -> pa.Schema:
    """The columns of an SFT file."""
    return pa.schema(
        {
            "messages": messages_type(tools),
            **tools_column(tools),
            "images": IMAGES,
            "turn_train": pa.list_(pa.bool_()),
            "rank_score": pa.float64(),
            "best_rank": pa.int64(),
            "question_id": pa.string(),
            "sample": pa.int64(),
            "step": pa.int64(),
            "hinted": pa.bool_(),
            "document": pa.string(),
            "data_source": pa.string(),
        }
    )


def query_rows(group: QuestionGroup, talk: Conversations, _: Counter[str]) -> Examples:
    """``sft_query``: the question -> each query that found gold."""
    for trajectory, turn, rank in _successes(group):
        yield _query_row(talk, trajectory, turn, rank)


def best_rows(group: QuestionGroup, talk: Conversations, counts: Counter[str]) -> Examples:
    """``sft_best``: the question -> its best query.

    The best exact rank, without a hint if possible, then the earliest step, then the lowest sample number.
    """

    def merit(success: tuple[Trajectory, Turn, int]) -> tuple[int, bool, int, int]:
        trajectory, turn, rank = success
        return rank, bool(trajectory.hint_page_ids), turn.step, trajectory.sample

    best = min(_successes(group), key=merit, default=None)
    if best:
        yield _query_row(talk, *best)
    elif group.kept:
        counts["sft_best_without_success"] += 1


def trajectory_rows(group: QuestionGroup, talk: Conversations, counts: Counter[str]) -> Examples:
    """``sft_trajectory``: the whole conversation up to its last useful turn, with the wasted turns marked.

    Where the policy may say that it has enough, it ends so after the first search that completes the gold pages.
    """
    for trajectory in group.kept:
        outcome = trajectory.outcome
        stop = stop_example(outcome, talk) if talk.config.enough else None
        if stop:
            chat, marks = stop
            yield _row(talk, chat, marks, trajectory, len(marks), outcome.best_gold_rank)
            continue
        useful = [not wasted for wasted in wasted_turns(outcome)]
        while useful and not useful[-1]:
            useful.pop()
        if useful:
            last = outcome.turns[len(useful) - 1]
            chat = talk.before(outcome, last.step).answered(last.text)
            yield _row(talk, chat, useful, trajectory, last.step, outcome.best_gold_rank)
        else:
            counts["sft_trajectory_nothing_to_learn"] += 1


def context_rows(group: QuestionGroup, talk: Conversations, _: Counter[str]) -> Examples:
    """``sft_context``: the question and the attempts so far -> a query that found gold and beats them all."""
    for trajectory in group.kept:
        outcome = trajectory.outcome
        before: list[int | None] = []
        for turn, _query, rank in searches(outcome):
            beaten = best_rank(tuple(before))
            if rank is not None and outcome.finds(turn) and before and (not beaten or rank < beaten):
                chat = talk.before(outcome, turn.step).answered(turn.text)
                yield _row(talk, chat, [True], trajectory, turn.step, rank)
            before.append(rank)


def _successes(group: QuestionGroup) -> Iterator[tuple[Trajectory, Turn, int]]:
    for trajectory in group.kept:
        for turn, _, rank in queries_alone(trajectory.outcome):
            if within(rank, trajectory.outcome.config.top_k):
                yield trajectory, turn, rank


def _query_row(talk: Conversations, trajectory: Trajectory, turn: Turn, rank: int) -> Row:
    return _row(talk, talk.query(trajectory.outcome, turn), [True], trajectory, turn.step, rank)


def _row(
    talk: Conversations,
    chat: Chat,
    train: Sequence[bool],
    trajectory: Trajectory,
    step: int,
    rank: int | None,
) -> Row:
    """A row; ``train`` are the marks of the last assistant messages, those before them are not learnt."""
    question = trajectory.outcome.question
    said = sum(message["role"] == "assistant" for message in chat.messages)
    return {
        "messages": list(chat.messages),
        **({"tools": talk.tools} if talk.tools else {}),
        "images": talk.image_files(chat),
        "turn_train": [False] * (said - len(train)) + list(train),
        "rank_score": rank_score(rank, trajectory.outcome.config.top_k),
        "best_rank": rank,
        "question_id": question.question_id,
        "sample": trajectory.sample,
        "step": step,
        "hinted": bool(trajectory.hint_page_ids),
        "document": document_of(question),
        "data_source": question.data_source,
    }
