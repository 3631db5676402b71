"""Play many episodes at a time against a server; every finished one is handed on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drag_rl.episode import EpisodeConfig, SearchEpisode, Searcher
from drag_rl.errors import InputError
from drag_rl.policies.play import play
from drag_rl.policies.server.completion import one_line
from drag_rl.policies.server.message_encoding import Wire
from drag_rl.policies.server.model_server import ModelServer, RequestFailed, ServerSettings
from drag_rl.policies.server.policy import ServerPolicy
from drag_rl.policies.server.sampling import Sampling
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

    server: ServerSettings
    searcher: Searcher
    episode: EpisodeConfig
    sampling_name: str
    sampling: Sampling
    wire: Wire
    max_tokens: int = 512
    """Of one message."""
    seed: int = 0
    """Every message's seed follows from this, the question, the sample and the turn."""

    def run(self, jobs: Iterable[Job], keep: Callable[[Job, Trajectory], None], concurrency: int) -> None:
        """Play the jobs, ``concurrency`` at a time, calling ``keep`` (in one thread) as each one ends.

        An episode whose request fails ends with ``StopReason.ERROR`` and no turns. Raises ServerDown when the server
        is gone, InputError when the first 20 episodes all fail or an image cannot be read; what ended before is kept.
        """
        asyncio.run(self._run(jobs, keep, concurrency))

    async def _run(
        self, jobs: Iterable[Job], keep: Callable[[Job, Trajectory], None], concurrency: int
    ) -> None:
        server = ModelServer(self.server)
        queue = iter(jobs)
        ended = failed = 0

        async def worker() -> None:
            nonlocal ended, failed
            for job in queue:
                trajectory = await self._play(job, server)
                keep(job, trajectory)
                ended, failed = ended + 1, failed + bool(trajectory.error)
                if failed == ended == HOPELESS_EPISODES:
                    raise InputError(
                        f"the first {ended} episodes all failed, the last one with: {trajectory.error}; mend that, "
                        "then run again with --retry-errors"
                    )

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors.exceptions[0].__cause__
        finally:
            await server.close()

    async def _play(self, job: Job, server: ModelServer) -> Trajectory:
        policy = ServerPolicy(
            server=server,
            wire=self.wire,
            sampling=self.sampling,
            max_tokens=self.max_tokens,
            seed=self.seed,
            question_id=job.question.question_id,
            sample=job.sample,
            hint=job.hint,
        )
        generations: tuple[Generation, ...] = ()
        error = ""
        try:
            outcome, generations = await play(job.question, policy, self.searcher, self.episode)
        except RequestFailed as failure:
            error = one_line(str(failure))
            failed = SearchEpisode(job.question, self.searcher, self.episode)
            failed.stop(StopReason.ERROR)
            outcome = failed.outcome()
        return Trajectory(
            outcome=outcome,
            sample=job.sample,
            model=self.server.model,
            sampling=self.sampling_name,
            generations=generations,
            error=error,
            hint_page_ids=job.hint_page_ids,
        )
