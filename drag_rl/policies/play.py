"""The driver for any policy and any retriever: a model behind a server, a baseline, a script.

``playing`` tells each step of an episode as it happens; ``play`` waits for its end. They are one loop, so who watches
an episode (``drag ask``, say) sees what is collected and evaluated.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from drag_rl.episode import EpisodeConfig, Observation, SearchEpisode, SearchRequest
from drag_rl.policies.base import ContextFull, EpisodeState, MessageTiming, Policy
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Generation, Outcome, Question, StopReason, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """The policy has written a message."""

    turn: Turn
    """With the action that was read from it, and without what comes of it."""
    generation: Generation
    timing: MessageTiming | None = None
    """Where the time of the message went, where that is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """The last message's search has been made."""

    turn: Turn
    """With its hits; what is shown of them to the policy is not recorded yet."""
    search_s: float
    """Wall time of the retriever."""
    snippets_s: float
    """Wall time of cutting snippets and writing the observation; page images are rendered with the next message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The episode has ended."""

    outcome: Outcome
    generations: tuple[Generation, ...]
    """What each message took, aligned with ``outcome.turns``."""


async def playing(
    question: Question, policy: Policy, retriever: Retriever, config: EpisodeConfig | None = None
) -> AsyncGenerator[Wrote | Searched | Ended, None]:
    """Play one episode, step by step; the last step is ``Ended``. Errors of policy and retriever propagate."""
    episode = SearchEpisode(question, retriever.pages, config)
    generations: list[Generation] = []
    while not episode.stop_reason:
        started = time.perf_counter()
        try:
            said = await policy.reply(EpisodeState.of(episode))
        except ContextFull:
            episode.stop(StopReason.LENGTH)
            break
        generation = Generation(
            prompt_tokens=said.prompt_tokens,
            completion_tokens=said.completion_tokens,
            seconds=time.perf_counter() - started,
            finish_reason=said.finish_reason,
            uses=said.uses,
            read_on=said.read_on,
            signal=said.signal,
        )
        generations.append(generation)
        reply = episode.step(said.text, said.finish_reason)
        yield Wrote(turn=episode.turns[-1], generation=generation, timing=said.timing)
        if isinstance(reply, SearchRequest):
            asked = time.perf_counter()
            rankings = await retriever.search(reply.queries, reply.top_k)
            found = time.perf_counter()
            reply = episode.show(rankings)
            shown = time.perf_counter()
            yield Searched(turn=episode.turns[-1], search_s=found - asked, snippets_s=shown - found)
        if isinstance(reply, Observation):
            episode.commit(reply)
    yield Ended(outcome=episode.outcome(), generations=tuple(generations))


async def play(
    question: Question, policy: Policy, retriever: Retriever, config: EpisodeConfig | None = None
) -> tuple[Outcome, tuple[Generation, ...]]:
    """Play one episode to its end; returns it with what each message took. Errors of policy and retriever propagate."""
    ended: Ended | None = None
    async for step in playing(question, policy, retriever, config):
        if isinstance(step, Ended):
            ended = step
    assert ended is not None
    return ended.outcome, ended.generations
