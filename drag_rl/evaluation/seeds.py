"""Runs of one policy, such as those of several seeds, as one: each question counts with its mean over the runs.

The intervals are still over questions: they say how sure the mean of these runs is on other questions, not how far
another seed may lie from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from drag_rl.evaluation.results import (
    QuestionRow,
    Results,
    aggregates,
    check_comparable,
    metrics_of_questions,
)
from drag_rl.metrics.measure import question_means


def by_name(paths: Sequence[Path], results: Sequence[Results]) -> dict[Path, Results]:
    """Files of the same name (whatever their folder) as one policy, under the first one's path, in its place.

    Raises InputError for runs of other questions, another split or another index.
    """
    groups: dict[str, list[tuple[Path, Results]]] = {}
    for path, result in zip(paths, results, strict=True):
        groups.setdefault(path.name, []).append((path, result))
    for (first_path, first), *others in groups.values():
        for path, other in others:
            check_comparable(first_path, first, path, other)
    return {group[0][0]: mean_of_runs([result for _, result in group]) for group in groups.values()}


def mean_of_runs(runs: Sequence[Results]) -> Results:
    """One result of at least one run on the same questions, in the same order.

    Its samples are those of all runs; of settings and fingerprints it has those that all share.
    """
    first = runs[0]
    if len(runs) == 1:
        return first
    names = tuple(name for name in first.names if all(name in run.names for run in runs))
    _, means_QM = question_means(
        (row.question_id, dict(zip(names, values, strict=True)))
        for run in runs
        for row, values in zip(run.rows, run.values_of(names).tolist(), strict=True)
    )
    return replace(
        first,
        model=", ".join(dict.fromkeys(run.model for run in runs)),
        samples=sum(run.samples for run in runs),
        fingerprints=_shared([run.fingerprints for run in runs]),
        config=_shared([run.config for run in runs]),
        paths={},
        aggregate=aggregates(means_QM, names, int(first.bootstrap.get("seed", 0))),
        seconds=sum(run.seconds for run in runs),
        versions=_shared([run.versions for run in runs]),
        rows=tuple(
            _row([run.rows[number] for run in runs], metrics)
            for number, metrics in enumerate(metrics_of_questions(means_QM, names))
        ),
    )


def _row(rows: Sequence[QuestionRow], metrics: dict[str, float | None]) -> QuestionRow:
    samples = chain.from_iterable(row.samples for row in rows)
    numbered = tuple(replace(sample, sample=number) for number, sample in enumerate(samples))
    return replace(rows[0], metrics=metrics, samples=numbered)


def _shared(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of them say, at any depth."""
    first, *others = settings
    found: dict[str, Any] = {}
    for name, value in first.items():
        if not all(name in other for other in others):
            continue
        if isinstance(value, Mapping) and all(isinstance(other[name], Mapping) for other in others):
            found[name] = _shared([value, *(other[name] for other in others)])
        elif all(other[name] == value for other in others):
            found[name] = value
    return found
