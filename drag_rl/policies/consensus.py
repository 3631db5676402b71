"""Consensus: several draws of a policy's query searched together, as a way of decoding.

For each message the policy is asked ``N`` times, each time with a seed of its own. What the draws search, and the
question as often, become one query: BM25 adds up the weight of a word as often as a query says it, so words that many
draws agree on count more, and none of the question is lost. Any policy that samples can be decoded so; the trajectory
holds the query that was searched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.actions import parse_action
from drag_rl.episode.prompt import action_text
from drag_rl.errors import InputError
from drag_rl.policies.base import EpisodeState, Policy, Reply
from drag_rl.policies.baselines.baseline import allowed
from drag_rl.policies.source import Policies, PolicySource
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Action, Answer, Enough, Question, Search
from drag_rl.types.trajectory import added_up


class Consensus:
    """One episode of a policy of which several draws search together."""

    def __init__(self, draws: Sequence[Policy]) -> None:
        """``draws`` are policies of the same kind, which differ in what they draw."""
        self._draws = draws

    async def reply(self, state: EpisodeState) -> Reply:
        """The draws' queries and the question as often, in one search; an end where more draws end than search.

        Draws that are no action do not count; where none is one, the first is the reply. See
        :class:`drag_rl.policies.base.Policy` for what is raised.
        """
        drawn = await asyncio.gather(*(policy.reply(state) for policy in self._draws), return_exceptions=True)
        replies = []
        for reply in drawn:  # all have ended: none goes on alone when another one fails
            if isinstance(reply, BaseException):
                raise reply
            replies.append(reply)
        actions = [_action(reply, state.config) for reply in replies]
        searches = [action for action in actions if isinstance(action, Search)]
        ends = [number for number, action in enumerate(actions) if isinstance(action, Answer | Enough)]
        if not searches or len(ends) > len(searches):
            return _with_all_tokens(replies[ends[0] if ends else 0], replies)
        query = together([search.query for search in searches], state.question.text, state.config)
        text = action_text(searches[0].thought, "search", query, state.config)
        return _with_all_tokens(Reply(text=text), replies)


class ConsensusSource(PolicySource):
    """A policy, so many draws of which search together."""

    def __init__(self, source: PolicySource, draws: int) -> None:
        super().__init__(replace(source.options, settings={}))  # the policy has read its own
        self._source = source
        self._draws = draws
        self.startup = source.startup
        self.sampling = source.sampling

    @property
    def model(self) -> str:
        """What its rows call it."""
        return self._source.model

    def check(self, episode: EpisodeConfig, samples: int) -> None:
        """Raise InputError for a policy whose draws are all the same, and for what the policy itself refuses."""
        self._source.check(episode, samples)
        if self._source.repeats:
            raise InputError(f"--consensus {self._draws}: {self._source.repeats}")
        if episode.queries_per_turn > 1:
            raise InputError(
                f"--consensus {self._draws}: puts its draws into one query; leave --episode queries_per_turn at 1"
            )

    def episode(self, config: EpisodeConfig) -> EpisodeConfig:
        """The policy's own, but for the length of a query, which is that of all draws."""
        return self._source.episode(config).model_copy(update={"max_query_chars": 0})

    def inputs(self, episode: EpisodeConfig) -> dict[str, str]:
        """Those of the policy."""
        return self._source.inputs(episode)

    def settings(self) -> dict[str, Any]:
        """Those of the policy, and the number of draws."""
        return self._source.settings() | {"consensus": self._draws}

    @contextmanager
    def open(self, retriever: Retriever, log: Path) -> Iterator[Policies]:
        """Open the policy."""
        with self._source.open(retriever, log) as policies:
            yield _ConsensusPolicies(policies, self._draws)


class _ConsensusPolicies(Policies):
    def __init__(self, policies: Policies, draws: int) -> None:
        self._policies = policies
        self._draws = draws

    def new(self, question: Question, sample: int) -> Consensus:
        first = sample * self._draws
        return Consensus([self._policies.new(question, first + draw) for draw in range(self._draws)])

    async def close(self) -> None:
        await self._policies.close()


def together(queries: Sequence[str], question: str, config: EpisodeConfig) -> str:
    """The words of all queries, and those of the question as often; the episode itself may search them once more.

    >>> together(["merge frames", "join"], "How?", EpisodeConfig())
    'merge frames join How? How?'
    >>> together(["merge frames", "join"], "How?", EpisodeConfig(expand_question=True))
    'merge frames join How?'
    """
    asked = len(queries) - config.expand_question
    return " ".join([*queries, *[allowed(question, config)] * asked])


def _action(reply: Reply, config: EpisodeConfig) -> Action:
    return parse_action(
        reply.text,
        config.action_format,
        complete=reply.finish_reason == "stop",
        enough={} if config.enough else None,
    )


def _with_all_tokens(reply: Reply, replies: Sequence[Reply]) -> Reply:
    """The reply with what all draws took, where all of them tell."""
    read = [each.prompt_tokens for each in replies if each.prompt_tokens is not None]
    written = [each.completion_tokens for each in replies if each.completion_tokens is not None]
    whole = len(replies)
    return replace(
        reply,
        prompt_tokens=sum(read) if len(read) == whole else None,
        completion_tokens=sum(written) if len(written) == whole else None,
        log_probs=None,
        uses=added_up(use for each in replies for use in each.uses),
        signal=None,
    )
