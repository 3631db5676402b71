"""Hit@k, Recall@k, nDCG@k and their kin of gold ranks, by ir-measures (trec_eval), and the reciprocal of a rank."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import ir_measures
from ir_measures import AP, RR, P, R, Success, nDCG

from drag_rl.metrics.rankings import Ranks
from drag_rl.types import best_rank

HIT_CUTOFFS = (1, 3, 5, 10, 20)
RECALL_CUTOFFS = (1, 5, 10, 20)
NDCG_CUTOFFS = (5, 10)
MAX_CUTOFF = 1000
"""The deepest cutoff that one may ask for; it is trec_eval's own depth."""

FAMILIES = {"hit": Success, "mrr": RR, "ndcg": nDCG, "recall": R, "precision": P, "map": AP}
"""Our name before the @ -> the library's measure. nDCG's gain is the grade of a page, as in trec_eval; to the others a
page is relevant or not."""
MEASURES: Mapping[str, ir_measures.Measure] = (
    {f"hit@{cutoff}": Success @ cutoff for cutoff in HIT_CUTOFFS}
    | {f"recall@{cutoff}": R @ cutoff for cutoff in RECALL_CUTOFFS}
    | {f"ndcg@{cutoff}": nDCG @ cutoff for cutoff in NDCG_CUTOFFS}
)
"""Our name -> the library's measure: those that are always taken."""
DEPTH = max(HIT_CUTOFFS + RECALL_CUTOFFS + NDCG_CUTOFFS)
"""The deepest cutoff of MEASURES."""
_NAME = re.compile(r"([a-z]+)@([1-9][0-9]{0,3})", re.ASCII)
_CHUNK = 500
"""Rankings that the library is given at a time, which bounds the memory."""


def measure_at(name: str) -> ir_measures.Measure | None:
    """The measure that ``NAME@K`` names, with a NAME of ``FAMILIES`` and a K up to MAX_CUTOFF; None for another name.

    >>> measure_at("recall@100"), measure_at("recall@2000"), measure_at("f1@3")
    (R@100, None, None)
    """
    parts = _NAME.fullmatch(name)
    if not parts or parts[1] not in FAMILIES or int(parts[2]) > MAX_CUTOFF:
        return None
    return FAMILIES[parts[1]] @ int(parts[2])


def cutoff_of(name: str) -> int:
    """The cutoff of a measure's name; 0 where it has none.

    >>> cutoff_of("ndcg@10"), cutoff_of("mrr")
    (10, 0)
    """
    return int(name.partition("@")[2] or 0)


def ranked_metrics(
    ranks_NR: Sequence[Ranks],
    grades_NR: Sequence[Sequence[int]] | None = None,
    measures: Mapping[str, ir_measures.Measure] = MEASURES,
) -> list[dict[str, float]]:
    """Measures of N rankings, each given by its gold ranks; all in [0, 1], keys ``mrr`` and those of ``measures``.

    ``grades_NR`` are the grades of the gold pages, aligned with their ranks; all 1 if it is None.
    ``mrr`` is ``1 / rank`` of the best gold page at any depth, 0 without one. The other measures look no deeper than
    the deepest cutoff, so the library gets rankings of that depth in which nameless pages stand where no gold page
    does.

    >>> row = ranked_metrics([(2, 30)])[0]
    >>> row["mrr"], row["hit@1"], row["hit@3"], row["recall@20"]
    (0.5, 0.0, 1.0, 0.5)
    """
    grades = [(1,) * len(ranks) for ranks in ranks_NR] if grades_NR is None else grades_NR
    depth = max(map(cutoff_of, measures))
    names = {measure: name for name, measure in measures.items()}
    rows: list[dict[str, float]] = [{"mrr": _reciprocal(best_rank(ranks))} for ranks in ranks_NR]
    for start in range(0, len(rows), _CHUNK):
        chunk = range(start, min(start + _CHUNK, len(rows)))
        qrels = {str(n): {f"gold{g}": grade for g, grade in enumerate(grades[n])} for n in chunk}
        runs = {str(n): _run(ranks_NR[n], depth) for n in chunk}
        for found in ir_measures.iter_calc(list(names), qrels, runs):
            rows[int(found.query_id)][names[found.measure]] = float(found.value)
    return rows


def _run(ranks: Ranks, depth: int) -> dict[str, float]:
    gold = {rank: f"gold{g}" for g, rank in enumerate(ranks) if rank is not None}
    return {gold.get(rank, f"other{rank}"): float(depth - rank) for rank in range(1, depth + 1)}


def _reciprocal(rank: int | None) -> float:
    return 0.0 if rank is None else 1.0 / rank
