"""The driver for any policy and any retriever: a model behind a server, a baseline, a script."""

from __future__ import annotations

import time

from drag_rl.episode import EpisodeConfig, Observation, SearchEpisode, SearchRequest
from drag_rl.policies.base import ContextFull, EpisodeState, Policy
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Generation, Outcome, Question, StopReason


async def play(
    question: Question, policy: Policy, retriever: Retriever, config: EpisodeConfig | None = None
) -> tuple[Outcome, tuple[Generation, ...]]:
    """Play one episode to its end; returns it with what each message took. Errors of policy and retriever propagate."""
    episode = SearchEpisode(question, retriever.pages, config)
    generations: list[Generation] = []
    while not episode.stop_reason:
        started = time.perf_counter()
        try:
            said = await policy.reply(EpisodeState.of(episode))
        except ContextFull:
            episode.stop(StopReason.LENGTH)
            break
        generations.append(
            Generation(
                prompt_tokens=said.prompt_tokens,
                completion_tokens=said.completion_tokens,
                seconds=time.perf_counter() - started,
                finish_reason=said.finish_reason,
            )
        )
        reply = episode.step(said.text, said.finish_reason)
        if isinstance(reply, SearchRequest):
            reply = episode.show(await retriever.search(reply.queries, reply.top_k))
        if isinstance(reply, Observation):
            episode.commit(reply)
    return episode.outcome(), tuple(generations)
