"""Play many episodes at a time; every finished one is handed on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drag_rl.episode import EpisodeConfig, SearchEpisode
from drag_rl.errors import InputError
from drag_rl.policies.base import Hinted, PolicyFailed
from drag_rl.policies.play import play
from drag_rl.policies.server.completion import one_line
from drag_rl.policies.source import Policies
from drag_rl.policies.work import work_through
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Generation, Question, StopReason, Trajectory

HOPELESS_EPISODES = 20
"""When this many episodes have ended and every one of them failed, the run stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One episode to play."""

    question: Question
    sample: int
    """0-based."""
    hint: str = ""
    """Shown to the policy below the system prompt; empty for an honest episode."""
    hint_page_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """How episodes are played, the same for all of them."""

    policies: Policies
    retriever: Retriever
    episode: EpisodeConfig
    model: str
    """What the rows call the policy."""
    sampling: str = ""
    """What the rows call its sampling."""

    def run(self, jobs: Iterable[Job], keep: Callable[[Job, Trajectory], None], concurrency: int) -> None:
        """Play the jobs, ``concurrency`` at a time, calling ``keep`` (in one thread) as each one ends.

        An episode whose policy fails ends with ``StopReason.ERROR`` and no turns. Raises ServerDown when a server is
        gone, InputError when the first 20 episodes all fail or an image cannot be read; what ended before is kept.
        """
        asyncio.run(self._run(jobs, keep, concurrency))

    async def _run(
        self, jobs: Iterable[Job], keep: Callable[[Job, Trajectory], None], concurrency: int
    ) -> None:
        ended = failed = 0

        async def end(job: Job) -> None:
            nonlocal ended, failed
            trajectory = await self._play(job)
            keep(job, trajectory)
            ended, failed = ended + 1, failed + bool(trajectory.error)
            if failed == ended == HOPELESS_EPISODES:
                raise InputError(
                    f"the first {ended} episodes all failed, the last one with: {trajectory.error}; mend that, "
                    "then run again with --retry-errors"
                )

        try:
            await work_through(jobs, end, concurrency)
        finally:
            await self.policies.close()

    async def _play(self, job: Job) -> Trajectory:
        policy = self.policies.new(job.question, job.sample)
        generations: tuple[Generation, ...] = ()
        error = ""
        try:
            hinted = Hinted(policy, job.hint) if job.hint else policy
            outcome, generations = await play(job.question, hinted, self.retriever, self.episode)
        except PolicyFailed as failure:
            error = one_line(str(failure))
            failed = SearchEpisode(job.question, self.retriever.pages, self.episode)
            failed.stop(StopReason.ERROR)
            outcome = failed.outcome()
        return Trajectory(
            outcome=outcome,
            sample=job.sample,
            model=self.model,
            sampling=self.sampling,
            generations=generations,
            error=error,
            hint_page_ids=job.hint_page_ids,
        )
