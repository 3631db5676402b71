"""Pairs of a better and a worse query for the same prompt, in TRL's conversational form.

Four sources. *Within* a trajectory: any two of its queries, as single-turn messages without thoughts (the later one's
thought speaks of hits that the earlier one had not seen), by their ranks over the whole corpus. *Across* the samples of
a question: two messages, as they were written, that answered the very same conversation, by the ranks that they had
there: the opening always, deeper turns where all before them is equal. *Stop*, where the policy may say that it has
enough: after every gold page was shown, saying so against the search that was made. *Early*: where a sample said enough
without a gold page, the search by which another went on from the very same conversation and found one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Literal

import pyarrow as pa

from drag_rl.episode import Message
from drag_rl.star.formats.conversation import Chat, Conversations, QuestionGroup
from drag_rl.star.formats.sft import IMAGES, messages_type, tools_column
from drag_rl.star.formats.stopping import finds_more, right_stop, searches_too_many, stops_too_early
from drag_rl.star.turns import queries_alone, searches
from drag_rl.types import Trajectory, Turn, query_key, within
from reward.rank import deep_rank, rank_score

Source = Literal["within", "across", "stop", "early"]
STOP_MARGIN = 1.0
"""By how much saying enough is better than a search of which nothing is left to find, and a search that finds what is
missing better than saying enough."""
TOLERANCE = 1e-9
"""Differences of scores are floats: a third is not quite a third."""


def schema(tools: Sequence[Message] | None) -> pa.Schema:
    """The columns of a file of pairs."""
    messages = messages_type(tools)
    side = [("sample", pa.int64()), ("step", pa.int64()), ("rank", pa.int64())]
    return pa.schema(
        {
            "prompt": messages,
            "chosen": messages,
            "rejected": messages,
            **tools_column(tools),
            "images": IMAGES,
            "margin": pa.float64(),
            "source": pa.string(),
            "question_id": pa.string(),
            **{f"{which}_{name}": kind for which in ("chosen", "rejected") for name, kind in side},
            "document": pa.string(),
            "data_source": pa.string(),
        }
    )


def preference(rank: int | None, other: int | None, top_k: int) -> float:
    """By how much a rank is better than another, in [-1, 1]: the difference of rank scores.

    Where both miss the top k, the difference of ``deep_rank``: exact ranks still tell them apart.

    >>> round(preference(1, 3, top_k=3), 2), round(preference(7, 1, top_k=3), 2), round(preference(4, None, top_k=3), 2)
    (0.67, -1.0, 0.43)
    """
    if within(rank, top_k) or within(other, top_k):
        return rank_score(rank, top_k) - rank_score(other, top_k)
    return deep_rank(rank) - deep_rank(other)


@dataclass(frozen=True, slots=True)
class _Try:
    """A query that was made."""

    text: str
    key: tuple[str, ...]
    rank: int | None
    sample: int
    step: int


@dataclass(frozen=True, slots=True)
class _Pair:
    source: Source
    prompt: Chat
    chosen: _Try
    rejected: _Try
    margin: float


class Pairs:
    """Makes the pairs of a file; remembers them, so that none comes twice and none contradicts another."""

    def __init__(self, margin: float, per_question: int = 0) -> None:
        """``margin`` is the least preference; ``per_question`` the most pairs of a question (the widest), 0 for all."""
        self._margin = margin
        self._per_question = per_question
        self._seen: set[tuple[bytes, tuple[str, ...], tuple[str, ...]]] = set()

    def rows(
        self, group: QuestionGroup, talk: Conversations, counts: Counter[str]
    ) -> Iterator[dict[str, Any]]:
        """The pairs of a question. Hinted trajectories give none: their policy read something else."""
        pairs = []
        for pair in self._candidates(group, talk, counts):
            prompt = _digest(pair.prompt)
            key = (prompt, pair.chosen.key, pair.rejected.key)
            if key in self._seen:
                counts["dpo_repeated"] += 1
            elif (prompt, pair.rejected.key, pair.chosen.key) in self._seen:
                counts["dpo_contradicting"] += 1
            else:
                self._seen.add(key)
                pairs.append(pair)
        pairs.sort(key=lambda pair: -pair.margin)
        kept = pairs[: self._per_question or None]
        counts["dpo_over_limit"] += len(pairs) - len(kept)
        for pair in kept:
            counts[f"dpo_pairs_{pair.source}"] += 1
            yield _row(pair, group, talk)

    def _candidates(self, group: QuestionGroup, talk: Conversations, counts: Counter[str]) -> Iterator[_Pair]:
        honest = [trajectory for trajectory in (*group.kept, *group.others) if not trajectory.hint_page_ids]
        prompt = talk.single(group.question, think=False)
        contexts: dict[bytes, tuple[Chat, list[_Try]]] = {}
        early: dict[bytes, list[_Try]] = {}
        went_on: dict[bytes, list[_Try]] = {}
        for trajectory in honest:
            yield from self._pairs("within", prompt, _bare_tries(trajectory, talk), group, counts)
            if talk.config.enough:
                yield from self._stops(trajectory, talk)
                for turn in stops_too_early(trajectory.outcome):
                    chat, stop = _said(trajectory, turn, ("enough",), None, talk)
                    early.setdefault(_digest(chat), []).append(stop)
            for turn, query, rank in searches(trajectory.outcome):
                chat, search = _said(trajectory, turn, query_key(query), rank, talk)
                digest = _digest(chat)
                contexts.setdefault(digest, (chat, []))[1].append(search)
                if finds_more(trajectory.outcome, turn):
                    went_on.setdefault(digest, []).append(search)
        for digest, (chat, tries) in contexts.items():
            yield from self._pairs("across", chat, tries, group, counts)
            for search, stop in product(went_on.get(digest, ()), early.get(digest, ())):
                yield _Pair("early", chat, search, stop, STOP_MARGIN)

    def _stops(self, trajectory: Trajectory, talk: Conversations) -> Iterator[_Pair]:
        outcome, sample = trajectory.outcome, trajectory.sample
        for turn in searches_too_many(outcome):
            chat, rejected = _said(trajectory, turn, ("search", turn.text), turn.gold_rank, talk)
            stop = chat.answered(right_stop(outcome, turn.step - 1, talk)).messages[-1]["content"]
            chosen = _Try(stop, ("enough",), None, sample, turn.step)
            yield _Pair("stop", chat, chosen, rejected, STOP_MARGIN)

    def _pairs(
        self, source: Source, prompt: Chat, tries: Sequence[_Try], group: QuestionGroup, counts: Counter[str]
    ) -> Iterator[_Pair]:
        top_k = (*group.kept, *group.others)[0].outcome.config.top_k
        for one, other in combinations(tries, 2):
            margin = preference(one.rank, other.rank, top_k)
            if one.key == other.key:
                counts["dpo_same_query"] += 1
            elif abs(margin) < max(self._margin, TOLERANCE) - TOLERANCE / 2:
                counts["dpo_below_margin"] += 1
            else:
                better, worse = (one, other) if margin > 0 else (other, one)
                yield _Pair(source, prompt, better, worse, abs(margin))


def _said(
    trajectory: Trajectory, turn: Turn, key: tuple[str, ...], rank: int | None, talk: Conversations
) -> tuple[Chat, _Try]:
    """The conversation that a turn answered, and what it said, as it was written."""
    chat = talk.before(trajectory.outcome, turn.step)
    text = chat.answered(turn.text).messages[-1]["content"]
    return chat, _Try(text, key, rank, trajectory.sample, turn.step)


def _bare_tries(trajectory: Trajectory, talk: Conversations) -> list[_Try]:
    return [
        _Try(talk.bare(turn), query_key(query), rank, trajectory.sample, turn.step)
        for turn, query, rank in queries_alone(trajectory.outcome)
    ]


def _digest(chat: Chat) -> bytes:
    return hashlib.sha256(json.dumps([chat.messages, chat.images]).encode()).digest()


def _row(pair: _Pair, group: QuestionGroup, talk: Conversations) -> dict[str, Any]:
    sides = {"chosen": pair.chosen, "rejected": pair.rejected}
    return {
        "prompt": list(pair.prompt.messages),
        **{name: [{"role": "assistant", "content": side.text}] for name, side in sides.items()},
        **({"tools": talk.tools} if talk.tools else {}),
        "images": talk.image_files(pair.prompt),
        "margin": pair.margin,
        "source": pair.source,
        "question_id": group.question.question_id,
        **{
            f"{name}_{field}": getattr(side, field)
            for name, side in sides.items()
            for field in ("sample", "step", "rank")
        },
        "document": group.document,
        "data_source": group.question.data_source,
    }
