"""The metrics of rankings: those that are always reported, and any other cutoff that one asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drag_rl.errors import InputError
from drag_rl.metrics.metric import Metric, score, share
from drag_rl.metrics.ranked import (
    FAMILIES,
    HIT_CUTOFFS,
    MAX_CUTOFF,
    NDCG_CUTOFFS,
    RECALL_CUTOFFS,
    measure_at,
)
from drag_rl.metrics.rankings import RANKINGS
from drag_rl.tables import Table

_WHERE = {"first": "first search", "best": "best search", "pooled": "all pages shown"}
"""Ranking -> what labels call it."""
_AT: dict[str, tuple[Callable[..., Metric], str, str]] = {
    "hit": (share, "Hit", "a gold page is among the first {k}"),
    "mrr": (score, "MRR", "1 / rank of the best gold page, 0 if it is not among the first {k}"),
    "ndcg": (score, "nDCG", "normalised discounted gain of the pages' grades"),
    "recall": (share, "Recall", "gold pages among the first {k}"),
    "precision": (share, "Precision", "places among the first {k} that gold pages hold"),
    "map": (score, "MAP", "mean precision at the ranks of the gold pages, down to {k}"),
}
"""Name before the @ -> how its value is shown, its label, and what it means."""


def at(ranking: str, family: str, cutoff: int | str) -> Metric:
    """The metric ``RANKING.FAMILY@CUTOFF``."""
    kind, label, meaning = _AT[family]
    return kind(
        f"{ranking}.{family}@{cutoff}", f"{label}@{cutoff} ({_WHERE[ranking]})", meaning.format(k=cutoff)
    )


def ranked(ranking: str) -> tuple[Metric, ...]:
    """The metrics of a ranking that are always reported."""
    return (
        score(
            f"{ranking}.mrr",
            f"MRR ({_WHERE[ranking]})",
            "1 / exact rank of the best gold page, 0 if not ranked",
        ),
        *(at(ranking, "hit", k) for k in HIT_CUTOFFS),
        *(at(ranking, "recall", k) for k in RECALL_CUTOFFS),
        *(at(ranking, "ndcg", k) for k in NDCG_CUTOFFS),
    )


class MetricTable(Table[Metric]):
    """A table of metrics that also knows every ``RANKING.NAME@K``, though it lists only those written in it."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and _asked(name) is not None)

    def _load(self, name: str) -> Metric:
        metric = None if super().__contains__(name) else _asked(name)
        return metric or super()._load(name)


def _asked(name: str) -> Metric | None:
    ranking, _, measure = name.partition(".")
    if ranking not in RANKINGS or measure_at(measure) is None:
        return None
    return at(ranking, *measure.split("@"))


def asked_metrics(measures: Sequence[str]) -> tuple[str, ...]:
    """The names of metrics, such as ``first.recall@100``, of each ranking for measures such as ``recall@100``.

    Raises InputError for what is no measure.
    """
    for measure in measures:
        if measure_at(measure) is None:
            raise InputError(
                f"--metrics {measure}: is not NAME@K, such as recall@100, with a name of {', '.join(FAMILIES)} and a "
                f"whole number up to {MAX_CUTOFF}"
            )
    return tuple(f"{ranking}.{measure}" for ranking in RANKINGS for measure in measures)
