"""``results/*.json``: what an evaluation found, down to each question; the one place that knows the format."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from drag_rl.errors import InputError
from drag_rl.evaluation.bootstrap import CONFIDENCE, DRAWS, Interval, intervals
from drag_rl.evaluation.risk_coverage import StopPoint
from drag_rl.files.manifest import atomic_write
from drag_rl.metrics.measure import Table, measure, question_means
from drag_rl.metrics.table import METRICS, names_of
from drag_rl.types import Generated, Question, Trajectory
from drag_rl.types.trajectory import ModelUse

FORMAT: Literal["drag-rl results 1"] = "drag-rl results 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One episode of a question; all of it is in the trajectories."""

    sample: int
    stop_reason: str
    queries: tuple[str, ...]
    gold_ranks: tuple[int | None, ...]
    """Of each query, the exact rank of the best gold page."""
    answer: str | None
    citations: tuple[str, ...]
    error: str
    uses: tuple[ModelUse, ...] = ()
    """What was asked of each model; empty in results that are older than this field."""
    generated: Generated | None = None
    """What a generator answered, where one was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRow:
    """One question."""

    question_id: str
    question: str
    data_source: str
    gold_page_ids: tuple[str, ...]
    metrics: dict[str, float | None]
    """Means over its samples; None where a metric does not apply."""
    samples: tuple[Sample, ...]
    gold_grades: tuple[int, ...] = ()
    """Aligned with ``gold_page_ids``; empty where all are 1."""
    scope: str | None = None
    """The document in which every search stayed; None where the whole corpus was searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """A mean over questions with its 95 % interval; None where a metric applies to no question."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Questions to which it applies."""

    @property
    def interval(self) -> Interval:
        """The mean and the ends of its interval, with NaN for None."""
        return Interval(value=_nan(self.value), low=_nan(self.low), high=_nan(self.high), n=self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One policy on one set of questions."""

    format: Literal["drag-rl results 1"] = FORMAT
    policy: str
    """Its name in the table of policies."""
    model: str
    """The model's name at its server; the policy's own name where no server is asked."""
    samples: int
    """Episodes of each question."""
    split: str
    corpus_pages: int
    fingerprints: dict[str, str]
    """``question_set`` (ids, texts and gold of the questions used), ``questions`` (the file's SHA-256), ``index``, and
    what else went in, such as the model's folder."""
    config: dict[str, Any]
    """Every setting that shaped the episodes; ``episode`` holds the protocol's."""
    paths: dict[str, str]
    """Where the inputs and the trajectories lay."""
    aggregate: dict[str, Aggregate]
    """By metric, in the order of reports; after those of METRICS others that were asked for."""
    bootstrap: dict[str, float]
    """``confidence``, ``draws`` and ``seed`` of the intervals."""
    seconds: float
    """Wall time of all episodes, earlier runs included."""
    versions: dict[str, str]
    rows: tuple[QuestionRow, ...]
    """Sorted by question id."""
    risk_coverage: tuple[StopPoint, ...] = ()
    """Of the policy's own stops, the earliest first; empty where it never stopped."""

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics: those of METRICS, then others that were asked for."""
        return names_of(name for name in self.aggregate if name in METRICS)

    @property
    def in_document(self) -> int:
        """How many questions were searched for only in the document that they are asked of."""
        return sum(row.scope is not None for row in self.rows)

    @property
    def values_QM(self) -> Table:  # noqa: N802 (its shape)
        """Metrics of questions, in the order of ``rows`` and ``names``; NaN for None."""
        return self.values_of(self.names)

    def values_of(self, names: Sequence[str]) -> Table:
        """These metrics of the questions, in the order of ``rows``, shape (Q, M); NaN for None."""
        values = [[_nan(row.metrics.get(name)) for name in names] for row in self.rows]
        return np.array(values, dtype=np.float64).reshape(len(self.rows), len(names))


_RESULTS = TypeAdapter(Results)


def score(
    trajectories: Sequence[Trajectory], seed: int = 0, more: Sequence[str] = ()
) -> tuple[dict[str, Aggregate], tuple[QuestionRow, ...]]:
    """Measure trajectories: the aggregates and a row a question; the order of the trajectories does not matter.

    ``more`` names metrics beside those of METRICS, such as ``first.recall@100``.
    """
    ordered = sorted(trajectories, key=lambda t: (t.outcome.question.question_id, t.sample))
    measured, names = measure(ordered, more), names_of(more)
    ids, values_QM = question_means(
        (t.outcome.question.question_id, row) for t, row in zip(ordered, measured, strict=True)
    )
    by_question: dict[str, list[Trajectory]] = {question_id: [] for question_id in ids}
    for trajectory in ordered:
        by_question[trajectory.outcome.question.question_id].append(trajectory)
    rows = tuple(
        _question_row(by_question[question_id], metrics)
        for question_id, metrics in zip(ids, metrics_of_questions(values_QM, names), strict=True)
    )
    return aggregates(values_QM, names, seed), rows


def aggregates(values_QM: Table, names: Sequence[str], seed: int = 0) -> dict[str, Aggregate]:
    """The mean of each metric over questions with its interval."""
    found = zip(names, intervals(values_QM, seed), strict=True)
    return {
        name: Aggregate(value=_known(i.value), low=_known(i.low), high=_known(i.high), n=i.n)
        for name, i in found
    }


def metrics_of_questions(values_QM: Table, names: Sequence[str]) -> list[dict[str, float | None]]:
    """The metrics of each question by name; None for NaN."""
    return [
        {name: _known(value) for name, value in zip(names, values.tolist(), strict=True)}
        for values in values_QM
    ]


def question_set(questions: Sequence[Question]) -> str:
    """Hex SHA-256 of the questions' ids, texts, gold pages, answers and grades, whatever their order and file.

    Grades that are all 1 change nothing, so that it is what it was before there were any.
    """
    rows = sorted(
        [q.question_id, q.text, *sorted(q.gold_page_ids), "", *sorted(q.answers), *_graded(q)]
        for q in questions
    )
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()


def bootstrap_facts(seed: int = 0) -> dict[str, float]:
    """How the intervals are made."""
    return {"confidence": CONFIDENCE, "draws": DRAWS, "seed": seed}


def write_results(path: Path, results: Results) -> None:
    """Write results, all or nothing."""
    with atomic_write(path) as file:
        json.dump(asdict(results), file, ensure_ascii=False, indent=1, allow_nan=False)
        file.write("\n")


def read_results(path: Path) -> Results:
    """Read results; a metric that an older version did not know applies to no question.

    Raises InputError naming the file and the field that is wrong.
    """
    try:
        results = _RESULTS.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with drag evaluate") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "file"
        raise InputError(f"{path}: no results of drag evaluate: {where}: {problem['msg']}") from None
    if not results.rows:
        raise InputError(f"{path}: holds no question; measure again with drag evaluate")
    aggregate = {
        name: Aggregate(value=None, low=None, high=None, n=0) for name in METRICS
    } | results.aggregate
    measured = {name for row in results.rows for name, value in row.metrics.items() if value is not None}
    lost = sorted(measured & METRICS.keys() - results.aggregate.keys())
    if lost:
        raise InputError(
            f"{path}: aggregate: lacks {lost[0]}, which rows have; measure again with drag evaluate"
        )
    return replace(results, aggregate=aggregate)


def check_comparable(
    base_path: Path, base: Results, path: Path, other: Results, *, across_indexes: bool = False
) -> None:
    """Raises InputError, naming both files, unless they are of the same questions, split and index.

    With ``across_indexes`` indexes of as many pages may differ in all else.
    """
    sets = [result.fingerprints.get("question_set") for result in (base, other)]
    indexes = [result.fingerprints.get("index") for result in (base, other)]
    if base.split != other.split:
        raise InputError(
            f"{path} is of split {other.split!r}, {base_path} of {base.split!r}; evaluate the same"
        )
    if sets[0] != sets[1] or [row.question_id for row in base.rows] != [r.question_id for r in other.rows]:
        raise InputError(
            f"{path} has other questions ({len(other.rows)}) than {base_path} ({len(base.rows)}); evaluate both on the "
            "same --questions and --limit"
        )
    if across_indexes and base.corpus_pages != other.corpus_pages:
        raise InputError(
            f"{path} searched {other.corpus_pages} pages, {base_path} {base.corpus_pages}; index the same pages"
        )
    if indexes[0] != indexes[1] and not across_indexes:
        raise InputError(
            f"{path} searched another index than {base_path}; evaluate both with the same --index, or say "
            "--across-indexes"
        )


def _question_row(trajectories: Sequence[Trajectory], metrics: dict[str, float | None]) -> QuestionRow:
    question = trajectories[0].outcome.question
    return QuestionRow(
        question_id=question.question_id,
        question=question.text,
        data_source=question.data_source,
        gold_page_ids=question.gold_page_ids,
        metrics=metrics,
        samples=tuple(_sample(trajectory) for trajectory in trajectories),
        gold_grades=question.gold_grades,
        scope=trajectories[0].outcome.scope,
    )


def _graded(question: Question) -> list[str]:
    grades = sorted(zip(question.gold_page_ids, question.gold_grades, strict=False))
    return ["", *(f"{page_id} {grade}" for page_id, grade in grades)] if grades else []


def _sample(trajectory: Trajectory) -> Sample:
    outcome = trajectory.outcome
    return Sample(
        sample=trajectory.sample,
        stop_reason=outcome.stop_reason.value,
        queries=outcome.queries,
        gold_ranks=tuple(turn.gold_rank for turn in outcome.searches),
        answer=outcome.answer.text if outcome.answer else None,
        citations=outcome.answer.citations if outcome.answer else (),
        error=trajectory.error,
        uses=trajectory.uses,
        generated=trajectory.generated,
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
