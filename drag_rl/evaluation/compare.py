"""``drag compare``: is the other policy better than the base, metric by metric, on the same questions?

A metric is *better* or *worse* if the 95 % interval of the difference leaves out 0 and the randomisation test gives
p < 0.05, else one *can't tell*. Where a metric applies to some questions only, such as the rank of pages found,
each policy's mean is over its own, and the change over those that both have: a policy that finds further, harder pages
does not look worse for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from drag_rl.evaluation.bootstrap import Difference, differences
from drag_rl.evaluation.costs import costs_line
from drag_rl.evaluation.results import Aggregate, QuestionRow, Results, check_comparable
from drag_rl.metrics.measure import mean_where_defined
from drag_rl.metrics.table import METRICS

Verdict = Literal["better", "worse", "can't tell"]
SIGNIFICANCE = 0.05
EXAMPLES = 5
EXAMPLE_METRIC = "best.mrr"
"""Questions are called won or lost, in examples, by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One metric of a pair."""

    metric: str
    base: Aggregate
    other: Aggregate
    change: Difference
    """Other minus base, over the questions to which the metric applies twice."""
    relative: float | None
    """The change as a share of the base's mean over the same questions; None where that is 0."""
    n: int
    """How many questions these are."""
    verdict: Verdict
    wins: int
    """Questions on which the other is better."""
    losses: int
    ties: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question that one of the two did better on."""

    question: str
    base: QuestionRow
    other: QuestionRow
    change: float
    """Of EXAMPLE_METRIC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One policy against the base."""

    name: str
    lines: tuple[Line, ...]
    """In the order of METRICS, then others that both have; a metric that applies to no question twice is left out."""
    notes: tuple[str, ...]
    """Settings that are not the same."""
    won: tuple[Example, ...]
    """The largest gains, largest first."""
    lost: tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Policies against one base."""

    base: str
    questions: int
    split: str
    corpus_pages: int
    policies: dict[str, str]
    """Name -> what it is."""
    costs: dict[str, str]
    """Name -> what a question took, in a line."""
    pairs: tuple[Pair, ...]


def compare(paths: Sequence[Path], results: Sequence[Results], *, across_indexes: bool = False) -> Comparison:
    """Compare the results of all further files with those of the first.

    Raises InputError for results of other questions, another split or, unless ``across_indexes``, another index.
    """
    base, *others = results
    for path, other in zip(paths[1:], others, strict=True):
        check_comparable(paths[0], base, path, other, across_indexes=across_indexes)
    names = _names(paths)
    return Comparison(
        base=names[0],
        questions=len(base.rows),
        split=base.split,
        corpus_pages=base.corpus_pages,
        policies={name: _description(result) for name, result in zip(names, results, strict=True)},
        costs={name: costs_line(result) for name, result in zip(names, results, strict=True)},
        pairs=tuple(_pair(name, base, other) for name, other in zip(names[1:], others, strict=True)),
    )


def verdict(change: Difference, better: Literal["higher", "lower"]) -> Verdict:
    """What a difference says.

    >>> verdict(Difference(value=-0.2, low=-0.3, high=-0.1, p=0.001), "lower")
    'better'
    >>> verdict(Difference(value=0.2, low=0.1, high=0.3, p=0.06), "higher")
    "can't tell"
    """
    if change.p >= SIGNIFICANCE or change.low <= 0 <= change.high:
        return "can't tell"
    return "better" if (change.value > 0) == (better == "higher") else "worse"


def _pair(name: str, base: Results, other: Results) -> Pair:
    names = tuple(name for name in base.names if name in other.names)
    values = [result.values_of(names) for result in (base, other)]
    both_QM = ~(np.isnan(values[0]) | np.isnan(values[1]))
    base_QM, other_QM = (np.where(both_QM, values_QM, np.nan) for values_QM in values)
    changes = differences(base_QM, other_QM)
    means = mean_where_defined(base_QM)
    lines = []
    for column, (measured, change) in enumerate(zip(names, changes, strict=True)):
        if np.isnan(change.value):
            continue
        metric = METRICS[measured]
        gain_Q = other_QM[:, column] - base_QM[:, column]
        gain_Q = gain_Q if metric.better == "higher" else -gain_Q
        lines.append(
            Line(
                metric=metric.name,
                base=base.aggregate[metric.name],
                other=other.aggregate[metric.name],
                change=change,
                relative=change.value / float(means[column]) if means[column] else None,
                n=int(both_QM[:, column].sum()),
                verdict=verdict(change, metric.better),
                wins=int((gain_Q > 0).sum()),
                losses=int((gain_Q < 0).sum()),
                ties=int((gain_Q == 0).sum()),
            )
        )
    column = names.index(EXAMPLE_METRIC)
    gain_Q = other_QM[:, column] - base_QM[:, column]
    return Pair(
        name=name,
        lines=tuple(lines),
        notes=tuple(_notes(base, other)),
        won=_examples(base, other, gain_Q, sign=1),
        lost=_examples(base, other, gain_Q, sign=-1),
    )


def _examples(
    base: Results, other: Results, gain_Q: npt.NDArray[np.float64], sign: Literal[1, -1]
) -> tuple[Example, ...]:
    order = np.argsort(-sign * gain_Q, kind="stable")[:EXAMPLES]
    return tuple(
        Example(
            question=base.rows[row].question,
            base=base.rows[row],
            other=other.rows[row],
            change=float(gain_Q[row]),
        )
        for row in order.tolist()
        if sign * gain_Q[row] > 0
    )


def _notes(base: Results, other: Results) -> list[str]:
    """What else differs than the model; first where it was searched, which changes what every rank means."""
    one, two = (_settings({**result.config, "samples": result.samples}) for result in (base, other))
    told = {"model"}
    notes = []
    if base.in_document != other.in_document:
        told.add("episode.scope")
        notes.append(
            f"{base.in_document} questions were searched in their own document in the base and {other.in_document} here"
        )
    names = sorted(name for name in one.keys() & two.keys() - told if one[name] != two[name])
    return notes + [f"{name} is {one[name]} in the base and {two[name]} here" for name in names]


def _settings(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _settings(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names that tell the files apart: ``base``, else ``run1/base``, else numbered."""
    for short in (lambda path: path.stem, lambda path: f"{path.resolve().parent.name}/{path.stem}"):
        names = [short(path) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{path.stem} ({number})" for number, path in enumerate(paths, start=1)]


def _description(results: Results) -> str:
    what = results.policy if results.model == results.policy else f"{results.policy} {results.model}"
    turns = _settings(results.config).get("episode.max_turns")
    sampling = _settings(results.config).get("sampling.name")
    parts = [what, f"{turns} turns" if turns else "", str(sampling or "")]
    if results.in_document:
        parts.append(f"{results.in_document} questions in their own document")
    generator = results.config.get("generator")
    if isinstance(generator, Mapping):
        parts.append(f"generator {generator.get('model')} with {generator.get('pages')} pages")
    if results.samples > 1:
        parts.append(f"{results.samples} samples")
    return ", ".join(part for part in parts if part)
