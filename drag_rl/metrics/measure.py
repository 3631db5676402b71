"""From trajectories to numbers: one row of metrics each, then means by question.

Failed, unanswered and cut-off episodes score 0 and stay in the denominator. Only where a metric cannot apply is it NaN:
answers where no gold answer is known or none was asked for, tokens that were not told, and the ``if`` of a metric's
meaning. Array shapes: Q questions, M metrics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from drag_rl.metrics.ranked import ranked_metrics
from drag_rl.metrics.rankings import RANKINGS, gold_ranks
from drag_rl.metrics.table import METRICS
from drag_rl.types import Trajectory

Row = dict[str, float]
"""Metric -> value, every metric of METRICS in its order; NaN where it does not apply."""
Table = npt.NDArray[np.float64]


def measure(trajectories: Sequence[Trajectory]) -> list[Row]:
    """The metrics of each trajectory, aligned."""
    single = {name: metric.of for name, metric in METRICS.items() if metric.of}
    rows = [{name: of(trajectory) for name, of in single.items()} for trajectory in trajectories]
    for ranking in RANKINGS:
        ranked = ranked_metrics([gold_ranks(trajectory.outcome, ranking) for trajectory in trajectories])
        for row, values in zip(rows, ranked, strict=True):
            row.update({f"{ranking}.{name}": value for name, value in values.items()})
    return [{name: row[name] for name in METRICS} for row in rows]


def question_means(rows: Iterable[tuple[str, Row]]) -> tuple[tuple[str, ...], Table]:
    """From (question id, row of one sample) to the sorted ids and the mean row of each question, shape (Q, M).

    Samples for which a metric does not apply are left out of its mean; NaN where that leaves none.
    """
    samples: dict[str, list[list[float]]] = defaultdict(list)
    for question_id, row in rows:
        samples[question_id].append([row[name] for name in METRICS])
    ids = tuple(sorted(samples))
    means = [mean_where_defined(np.sort(np.array(samples[question_id]), axis=0)) for question_id in ids]
    return ids, np.array(means).reshape(len(ids), len(METRICS))


def mean_where_defined(values_NM: Table) -> Table:
    """The mean of each column over its rows that are not NaN, shape (M,); NaN for a column without any."""
    known_NM = ~np.isnan(values_NM)
    count_M = known_NM.sum(axis=0)
    total_M = np.where(known_NM, values_NM, 0.0).sum(axis=0)
    mean_M: Table = np.divide(total_M, count_M, out=np.full(values_NM.shape[1], np.nan), where=count_M > 0)
    return mean_M
