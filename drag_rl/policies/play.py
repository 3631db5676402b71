"""The driver for anything that answers messages: a server's model, a control, a script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from drag_rl.episode import EpisodeConfig, FinishReason, Message, Observation, SearchEpisode, Searcher
from drag_rl.types import Generation, Outcome, Question, StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One assistant message."""

    text: str
    """Verbatim, as the model's chat template would have it: thoughts and tool calls included."""
    finish_reason: FinishReason = "stop"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ContextFull(Exception):  # noqa: N818 (a state of the episode, not a fault)
    """The conversation no longer fits the policy's context window."""


class Policy(Protocol):
    """Whoever writes the assistant's messages of one episode."""

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Message] | None, stop: Sequence[str]
    ) -> Reply:
        """The next message. Raises ContextFull when the messages are too long; other errors end the rollout."""


async def play(
    question: Question, policy: Policy, searcher: Searcher, config: EpisodeConfig
) -> tuple[Outcome, tuple[Generation, ...]]:
    """Play one episode to its end; searches run in a thread. Errors of the policy propagate."""
    episode = SearchEpisode(question, searcher, config)
    generations: list[Generation] = []
    while not episode.stop_reason:
        started = time.perf_counter()
        try:
            reply = await policy.reply(episode.messages, episode.tools, config.stop_strings)
        except ContextFull:
            episode.stop(StopReason.LENGTH)
            break
        generations.append(
            Generation(
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                seconds=time.perf_counter() - started,
                finish_reason=reply.finish_reason,
            )
        )
        observation = await asyncio.to_thread(episode.step, reply.text, reply.finish_reason)
        if isinstance(observation, Observation):
            episode.commit(observation)
    return episode.outcome(), tuple(generations)
