"""One run of ``drag collect``: from questions, an index and a model to a file of trajectories."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.prompt import template_path
from drag_rl.errors import InputError
from drag_rl.files.manifest import sha256_file
from drag_rl.policies.server.message_encoding import Wire
from drag_rl.policies.server.model_server import Dialect, ServerDown, ServerSettings
from drag_rl.policies.server.policy import check_sampling, sampling_facts
from drag_rl.policies.server.sampling import SAMPLINGS
from drag_rl.questions import read_questions
from drag_rl.retrieval import SearchIndex
from drag_rl.serving.served_model import ModelChoice
from drag_rl.star import rationalise
from drag_rl.star.collect import Job, Rollouts
from drag_rl.trajectories.counts import Tally
from drag_rl.trajectories.trajectory_file import TrajectoryFile
from drag_rl.types import Question, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What to collect; the options of ``drag collect``."""

    questions: Path
    index: Path
    out: Path
    model: ModelChoice
    dialect: Dialect = "vllm"
    sampling: str = "default"
    samples: int = 1
    """Episodes of each question."""
    seed: int = 0
    concurrency: int = 16
    limit: int = 0
    """Only so many questions; 0 means all."""
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    max_tokens: int = 512
    """Of one message."""
    pages: Path | None = None
    max_pixels: int = 451_584
    timeout_s: float = 600.0
    retries: int = 6
    retry_errors: bool = False
    hint_failures: tuple[Path, ...] = ()
    """Files whose unsolved questions are played with a hint; empty means honest episodes."""

    def run(self, watcher: Watcher) -> Collected:
        """Collect what is not there yet.

        Raises InputError for wrong options or inputs, ServerDown when the server is gone; what ended before is kept.
        """
        self._check()
        searcher = SearchIndex.load(self.index, self.pages)
        wire = self._wire()
        jobs = list(self._jobs(searcher))
        facts = self._facts(searcher)
        with ExitStack() as stack:
            keepers = [stack.enter_context(TrajectoryFile.open(path, **facts)) for path in self._files()]
            done = set().union(*(keeper.done for keeper in keepers))
            todo = [job for job in jobs if (job.question.question_id, job.sample) not in done]
            collected = Collected(file=keepers[0].tally)
            if not todo:
                return collected
            log = self.out.with_name(f"{self.out.name}.vllm.log")
            watcher.serving(self.model.model_path)
            served = stack.enter_context(self.model.serve(log))
            rollouts = Rollouts(
                server=ServerSettings(
                    base_url=served.base_url,
                    model=self.model.name,
                    api_key=served.key,
                    timeout_s=self.timeout_s,
                    retries=self.retries,
                    dialect=self.dialect,
                ),
                searcher=searcher,
                episode=self.episode,
                sampling_name=self.sampling,
                sampling=SAMPLINGS[self.sampling],
                wire=wire,
                max_tokens=self.max_tokens,
                seed=self.seed,
            )

            def keep(job: Job, trajectory: Trajectory) -> None:
                collected.add(job, trajectory, keepers)
                watcher.ended(collected.run)

            started = time.monotonic()
            watcher.playing(len(todo))
            try:
                rollouts.run(todo, keep, self.concurrency)
            except ServerDown as error:
                raise (
                    ServerDown(f"{error}; vLLM's log is {served.log}") if served.log is not None else error
                ) from error
            collected.seconds = time.monotonic() - started
        return collected

    def _check(self) -> None:
        self.model.check()
        check_sampling(self.sampling, SAMPLINGS[self.sampling], self.dialect, self.samples)
        if self.episode.observation != "text" and self.pages is None:
            raise InputError(
                f"--episode observation={self.episode.observation} needs --pages, the folder of pages"
            )

    def _wire(self) -> Wire:
        structured = self.dialect == "openai"
        if self.pages is None:
            return Wire(structured_calls=structured)
        from drag_rl.corpus.images import PageImages  # takes seconds, and most runs show text

        return Wire(pages=PageImages(self.pages, max_pixels=self.max_pixels), structured_calls=structured)

    def _files(self) -> list[Path]:
        """Where trajectories go; with hints also a file of those that are not kept, so that none is played twice."""
        return [self.out, self.out.with_suffix(".dropped.jsonl")] if self.hint_failures else [self.out]

    def _jobs(self, searcher: SearchIndex) -> Iterator[Job]:
        questions = read_questions(self.questions)
        first = 0
        if self.hint_failures:
            failed = rationalise.failures(self.hint_failures)
            questions = [q for q in questions if q.question_id in failed.question_ids]
            first = failed.next_sample
        for question in questions[: self.limit or None]:
            self._check_gold(question, searcher)
            hint, shown = "", question.gold_page_ids[:1] if self.hint_failures else ()
            if shown:
                hint = rationalise.hint_for(question, searcher)
            for sample in range(first, first + self.samples):
                yield Job(question=question, sample=sample, hint=hint, hint_page_ids=shown)

    def _check_gold(self, question: Question, searcher: SearchIndex) -> None:
        for page_id in question.gold_page_ids:
            if page_id not in searcher:
                raise InputError(
                    f"{self.questions}: question {question.question_id}: its page {page_id} is not in {self.index}; "
                    "use the index of the same pages"
                )

    def _facts(self, searcher: SearchIndex) -> dict[str, Any]:
        """What shapes the rows, for the manifest."""
        inputs = {"questions": sha256_file(self.questions), "index": searcher.manifest.fingerprint}
        inputs |= self.model.fingerprints()
        inputs |= {f"failures_{n}": sha256_file(path) for n, path in enumerate(self.hint_failures, start=1)}
        if self.episode.system_prompt:
            inputs["system_prompt"] = sha256_file(template_path(self.episode))
        config = {
            "model": self.model.name,
            "server": self.dialect,
            "sampling": sampling_facts(self.sampling, SAMPLINGS[self.sampling]),
            "seed": self.seed,
            "max_tokens": self.max_tokens,
            "max_pixels": self.max_pixels if self.pages is not None else 0,
            "hints": bool(self.hint_failures),
            "episode": self.episode.model_dump(mode="json"),
        }
        return {"inputs": inputs, "config": config, "retry_errors": self.retry_errors}


class Watcher:
    """Told how a run goes on; this one does nothing with it."""

    def serving(self, model_path: str | None) -> None:
        """The server is looked for, or started with this model."""

    def playing(self, episodes: int) -> None:
        """So many episodes are about to be played."""

    def ended(self, tally: Tally) -> None:
        """One more episode of this run has ended; ``tally`` counts them all."""


@dataclass(slots=True, kw_only=True)
class Collected:
    """What a run came to."""

    file: Tally
    """Over all rows of the file."""
    run: Tally = field(default_factory=Tally)
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
