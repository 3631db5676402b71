"""From trajectories to numbers: one row of metrics each, then means by question.

Failed, unanswered and cut-off episodes score 0 and stay in the denominator. Only where a metric cannot apply is it NaN:
answers where no gold answer is known or none was asked for, tokens that were not told, cutoffs deeper than an index
ranks, and the ``if`` of a metric's meaning. Array shapes: Q questions, M metrics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from drag_rl.metrics.behaviour import UNDEFINED
from drag_rl.metrics.ranked import MEASURES, cutoff_of, measure_at, ranked_metrics
from drag_rl.metrics.rankings import RANKINGS, exact_to, gold_ranks
from drag_rl.metrics.table import METRICS, names_of
from drag_rl.types import Trajectory

Row = dict[str, float]
"""Metric -> value, every metric of METRICS in its order, then others that were asked for; NaN where one does not
apply."""
Table = npt.NDArray[np.float64]


def measure(trajectories: Sequence[Trajectory], more: Sequence[str] = ()) -> list[Row]:
    """The metrics of each trajectory, aligned; ``more`` names metrics such as ``first.recall@100`` that METRICS knows
    but does not list."""
    single = {name: metric.of for name, metric in METRICS.items() if metric.of}
    rows = [{name: of(trajectory) for name, of in single.items()} for trajectory in trajectories]
    _measure_groups(trajectories, rows)
    asked = (name.partition(".")[2] for name in more)
    measures = {**MEASURES, **{name: measure for name in asked if (measure := measure_at(name))}}
    grades = [trajectory.outcome.question.grades for trajectory in trajectories]
    for ranking in RANKINGS:
        ranks = [gold_ranks(trajectory.outcome, ranking) for trajectory in trajectories]
        bounds = [exact_to(trajectory.outcome, ranking) for trajectory in trajectories]
        found = zip(rows, ranked_metrics(ranks, grades, measures), bounds, strict=True)
        for row, values, bound in found:
            row.update(
                {
                    f"{ranking}.{name}": UNDEFINED if bound is not None and cutoff_of(name) > bound else value
                    for name, value in values.items()
                }
            )
    return [{name: row[name] for name in names_of(more)} for row in rows]


def _measure_groups(trajectories: Sequence[Trajectory], rows: Sequence[Row]) -> None:
    """Add the metrics of all trajectories of a question to the row of each."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, trajectory in enumerate(trajectories):
        groups[trajectory.outcome.question.question_id].append(place)
    together = {name: metric.of_group for name, metric in METRICS.items() if metric.of_group}
    for places in groups.values():
        values = {name: of([trajectories[place] for place in places]) for name, of in together.items()}
        for place in places:
            rows[place].update(values)


def question_means(rows: Iterable[tuple[str, Row]]) -> tuple[tuple[str, ...], Table]:
    """From (question id, row of one sample) to the sorted ids and the mean row of each question, shape (Q, M).

    The columns are in the order of the rows, which is the same for all; without any row they are METRICS.
    Samples for which a metric does not apply are left out of its mean; NaN where that leaves none.
    """
    samples: dict[str, list[list[float]]] = defaultdict(list)
    columns = len(METRICS)
    for question_id, row in rows:
        samples[question_id].append([*row.values()])
        columns = len(row)
    ids = tuple(sorted(samples))
    means = [mean_where_defined(np.sort(np.array(samples[question_id]), axis=0)) for question_id in ids]
    return ids, np.array(means).reshape(len(ids), columns)


def mean_where_defined(values_NM: Table) -> Table:
    """The mean of each column over its rows that are not NaN, shape (M,); NaN for a column without any."""
    known_NM = ~np.isnan(values_NM)
    count_M = known_NM.sum(axis=0)
    total_M = np.where(known_NM, values_NM, 0.0).sum(axis=0)
    mean_M: Table = np.divide(total_M, count_M, out=np.full(values_NM.shape[1], np.nan), where=count_M > 0)
    return mean_M
