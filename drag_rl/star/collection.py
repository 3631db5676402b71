"""One run of ``drag collect``: from questions, an index and a policy to a file of trajectories."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.request import pages_searched
from drag_rl.errors import InputError
from drag_rl.files.manifest import sha256_file
from drag_rl.policies.source import PolicyOptions, PolicySource
from drag_rl.policies.table import policy_source
from drag_rl.question_ids import QuestionIds
from drag_rl.questions import read_questions
from drag_rl.retrieval import open_retriever
from drag_rl.retrieval.base import Retriever
from drag_rl.star import rationalise
from drag_rl.star.collect import Job, Rollouts
from drag_rl.trajectories.counts import Counts
from drag_rl.trajectories.trajectory_file import TrajectoryFile
from drag_rl.types import Question, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What to collect; the options of ``drag collect``."""

    questions: Path
    index: Path
    out: Path
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    """Who plays."""
    samples: int = 1
    """Episodes of each question."""
    concurrency: int = 16
    """Episodes played at a time."""
    named: QuestionIds = field(default_factory=QuestionIds)
    """Only the questions that files name, or those that they do not."""
    limit: int = 0
    """Only so many questions; 0 means all."""
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    retry_errors: bool = False
    hint_failures: tuple[Path, ...] = ()
    """Files whose unsolved questions are played with a hint; empty means honest episodes."""

    def run(self, progress: Progress) -> Collected:
        """Collect what is not there yet.

        Raises InputError for wrong options or inputs, ServerDown when the server is gone; what ended before is kept.
        """
        source = policy_source(self.policy)
        source.check(self.episode, self.samples)
        retriever = open_retriever(self.index, self.policy.pages)
        jobs = list(self._jobs(retriever))
        facts = self._facts(source, retriever)
        with ExitStack() as stack:
            keepers = [stack.enter_context(TrajectoryFile.open(path, **facts)) for path in self._files()]
            done = set().union(*(keeper.done for keeper in keepers))
            todo = [job for job in jobs if (job.question.question_id, job.sample) not in done]
            collected = Collected(file=keepers[0].counts)
            if not todo:
                return collected
            progress.waiting(source.startup)
            log = self.out.with_name(f"{self.out.name}.vllm.log")
            rollouts = Rollouts(
                policies=stack.enter_context(source.open(retriever, log)),
                retriever=retriever,
                episode=source.episode(self.episode),
                model=source.model,
                sampling=source.sampling,
            )

            def keep(job: Job, trajectory: Trajectory) -> None:
                collected.add(job, trajectory, keepers)
                progress.ended(collected.run)

            started = time.monotonic()
            progress.playing(len(todo))
            rollouts.run(todo, keep, self.concurrency)
            collected.seconds = time.monotonic() - started
        return collected

    def named_questions(self) -> list[Question]:
        """The questions that may be played, before any limit."""
        return self.named.choose(read_questions(self.questions))

    def _files(self) -> list[Path]:
        """Where trajectories go; with hints also a file of those that are not kept, so that none is played twice."""
        return [self.out, self.out.with_suffix(".dropped.jsonl")] if self.hint_failures else [self.out]

    def _jobs(self, retriever: Retriever) -> Iterator[Job]:
        questions = self.named_questions()
        first = 0
        if self.hint_failures:
            failed = rationalise.failures(self.hint_failures)
            questions = [q for q in questions if q.question_id in failed.question_ids]
            first = failed.next_sample
        for question in questions[: self.limit or None]:
            self._check_gold(question, retriever)
            hint, shown = "", question.gold_page_ids[:1] if self.hint_failures else ()
            if shown:
                hint = rationalise.hint_for(question, retriever.pages)
            self._check_scope(question, retriever)
            for sample in range(first, first + self.samples):
                yield Job(question=question, sample=sample, hint=hint, hint_page_ids=shown)

    def _check_gold(self, question: Question, retriever: Retriever) -> None:
        for page_id in question.gold_page_ids:
            if page_id not in retriever.pages:
                raise InputError(
                    f"{self.questions}: question {question.question_id}: its page {page_id} is not in {self.index}; "
                    "use the index of the same pages"
                )

    def _check_scope(self, question: Question, retriever: Retriever) -> None:
        try:
            pages_searched(question, retriever.pages, self.episode)
        except InputError as error:
            raise InputError(f"{self.questions}: {error}") from None

    def _facts(self, source: PolicySource, retriever: Retriever) -> dict[str, Any]:
        """What shapes the rows, for the manifest."""
        inputs = {"questions": sha256_file(self.questions), "index": retriever.fingerprint}
        inputs |= source.inputs(self.episode)
        inputs |= {f"failures_{n}": sha256_file(path) for n, path in enumerate(self.hint_failures, start=1)}
        config = {
            "model": source.model,
            **source.settings(),
            "hints": bool(self.hint_failures),
            "episode": self.episode.model_dump(mode="json"),
        }
        return {"inputs": inputs, "config": config, "retry_errors": self.retry_errors}


class Progress:
    """Told how a run goes on; this one does nothing with it."""

    def waiting(self, what: str) -> None:
        """The run waits for this before it plays; empty for nothing that takes long."""

    def playing(self, episodes: int) -> None:
        """So many episodes are about to be played."""

    def ended(self, counts: Counts) -> None:
        """One more episode of this run has ended; ``counts`` are over them all."""

    def answering(self, answers: int) -> None:
        """A generator is about to be asked for so many answers."""

    def answered(self, answers: int) -> None:
        """So many of them have come."""


@dataclass(slots=True, kw_only=True)
class Collected:
    """What a run came to."""

    file: Counts
    """Over all rows of the file."""
    run: Counts = field(default_factory=Counts)
    """Over the episodes of this run."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Of hinted episodes of this run; see ``rationalise.verdict`` and ``copied``."""
    seconds: float = 0.0
    """Wall time of playing."""

    def add(self, job: Job, trajectory: Trajectory, keepers: list[TrajectoryFile]) -> None:
        """Count a trajectory and write it to the first file, or, hinted and no example, to the second."""
        kept = True
        if job.hint:
            found = rationalise.verdict(trajectory)
            kept = found == "kept"
            self.verdicts[found] += 1
            self.verdicts["copied"] += kept and rationalise.copies(trajectory, job.hint)
        keepers[0 if kept else 1].append(trajectory)
        self.run.add(trajectory)
