"""The metrics that there are: name, label, which way is better, what it means, and the function that measures it.

A share is shown in per cent, a score to three decimals, a number to two. A new metric is a function in this folder and
a line here; an installed package adds one by an entry point in the group ``drag_rl.metrics``. Nothing else changes:
results, comparisons and reports read the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from drag_rl.metrics import answers, behaviour, finding
from drag_rl.metrics.answering import answer_in_context, of_answer, of_citations
from drag_rl.metrics.ranked import HIT_CUTOFFS, NDCG_CUTOFFS, RECALL_CUTOFFS
from drag_rl.tables import Table
from drag_rl.types import Trajectory

Of = Callable[[Trajectory], float]
"""Measures a trajectory; NaN where the metric does not apply to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """How to read one number."""

    name: str
    """Its key in results."""
    label: str
    """Its name in tables."""
    unit: Literal["share", "score", "number"]
    better: Literal["higher", "lower"]
    meaning: str
    """One line; where it does not apply to every question, it says to which."""
    of: Of | None = None
    """Measures one trajectory; None for the measures of rankings, which are taken of all trajectories at once."""


def _share(name: str, label: str, meaning: str, of: Of | None = None) -> Metric:
    return Metric(name=name, label=label, unit="share", better="higher", meaning=meaning, of=of)


def _score(name: str, label: str, meaning: str, of: Of | None = None) -> Metric:
    return Metric(name=name, label=label, unit="score", better="higher", meaning=meaning, of=of)


def _cost(
    name: str, label: str, meaning: str, of: Of, unit: Literal["share", "score", "number"] = "number"
) -> Metric:
    return Metric(name=name, label=label, unit=unit, better="lower", meaning=meaning, of=of)


def _ranked(ranking: str, where: str) -> tuple[Metric, ...]:
    return (
        _score(f"{ranking}.mrr", f"MRR ({where})", "1 / exact rank of the best gold page, 0 if not ranked"),
        *(
            _share(f"{ranking}.hit@{k}", f"Hit@{k} ({where})", f"a gold page is among the first {k}")
            for k in HIT_CUTOFFS
        ),
        *(
            _share(f"{ranking}.recall@{k}", f"Recall@{k} ({where})", f"gold pages among the first {k}")
            for k in RECALL_CUTOFFS
        ),
        *(
            _score(f"{ranking}.ndcg@{k}", f"nDCG@{k} ({where})", "normalised discounted gain, binary")
            for k in NDCG_CUTOFFS
        ),
    )


_ALL = (
    _share("success", "Success Rate", "a gold page was among the top k of any search", finding.success),
    _share(
        "answer_success",
        "Answer Success",
        "the answer is right: ANLS* of 0.5 or more, or it holds a gold answer; where one is known and asked for",
        of_answer(answers.is_right),
    ),
    _cost(
        "iterations",
        "Avg Iterations",
        "assistant messages of an episode; the whole budget for a failed one",
        behaviour.iterations,
    ),
    _cost(
        "iterations_to_success",
        "Iterations to Success",
        "searches until a gold page was shown; if one was",
        finding.iterations_to_success,
    ),
    _share(
        "first_hit_rate",
        "First-Hit Rate",
        "the first search had a gold page among its top k",
        finding.first_hit_rate,
    ),
    _cost(
        "first_hit_rank",
        "First-Hit Rank",
        "rank of the best gold page in the first search; if in its top k",
        finding.first_hit_rank,
    ),
    *_ranked("first", "first search"),
    *_ranked("best", "best search"),
    *_ranked("pooled", "all pages shown"),
    _cost(
        "first.gold_rank",
        "Gold Rank (first search)",
        "exact rank of the best gold page; the number of pages if it is not ranked",
        finding.first_gold_rank,
    ),
    _cost(
        "best.gold_rank",
        "Gold Rank (best search)",
        "exact rank of the best gold page in the episode's best search; the number of pages if it is not ranked",
        finding.best_gold_rank,
    ),
    _score(
        "exact_match",
        "Exact Match",
        "the answer is a gold answer; where one is known",
        of_answer(answers.exact_match),
    ),
    _score(
        "token_f1",
        "Token F1",
        "words shared with the best gold answer; where one is known",
        of_answer(answers.token_f1),
    ),
    _score(
        "anls",
        "ANLS*",
        "normalised Levenshtein similarity, 0 below 0.5; where a gold answer is known",
        of_answer(answers.anls),
    ),
    _share(
        "answer_in_context",
        "Answer in Context",
        "a gold answer occurs in what was shown; where one is known",
        answer_in_context,
    ),
    _score(
        "citation_precision",
        "Citation Precision",
        "cited pages that are gold and were shown; where answers are asked for",
        of_citations("citation_precision"),
    ),
    _score(
        "citation_recall",
        "Citation Recall",
        "gold pages that are cited and were shown; where answers are asked for",
        of_citations("citation_recall"),
    ),
    _score(
        "citation_f1",
        "Citation F1",
        "harmonic mean of citation precision and recall, by question",
        of_citations("citation_f1"),
    ),
    _share(
        "answered",
        "Answered",
        "the episode ended with an answer; where answers are asked for",
        behaviour.answered,
    ),
    _cost(
        "searches",
        "Searches",
        "searches of an episode; the whole budget for a failed one",
        behaviour.searches,
    ),
    _cost(
        "prompt_tokens",
        "Tokens Read",
        "summed over the messages; where the policy tells",
        behaviour.prompt_tokens,
    ),
    _cost(
        "completion_tokens",
        "Tokens Written",
        "summed over the messages; where the policy tells",
        behaviour.completion_tokens,
    ),
    _cost(
        "duplicate_query_rate",
        "Duplicate Queries",
        "searches that repeat an earlier one; if any",
        behaviour.duplicate_query_rate,
        unit="share",
    ),
    _cost(
        "malformed_rate",
        "Malformed Messages",
        "messages that are no action; if any",
        behaviour.malformed_rate,
        unit="share",
    ),
    _cost(
        "error_rate",
        "Errors",
        "episodes that the server failed; they score 0 above",
        behaviour.error_rate,
        unit="share",
    ),
)
METRICS: Table[Metric] = Table("metric", {metric.name: metric for metric in _ALL}, group="drag_rl.metrics")
"""By name, in the order of reports."""

HEADLINES: dict[str, str] = {
    "success": "Success Rate",
    "answer_success": "Answer Success",
    "iterations": "Avg Iterations",
    "iterations_to_success": "Iterations to Success",
    "first_hit_rate": "First-Hit Rate",
    "first_hit_rank": "First-Hit Rank",
    "first.mrr": "First Search MRR",
    "best.mrr": "MRR",
    "first.hit@1": "Hit@1",
    "first.hit@3": "Hit@3",
}
"""The metrics of the short table and what they are called there: ranks are the first search's, MRR the best one's."""
