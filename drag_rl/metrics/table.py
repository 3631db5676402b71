"""The metrics that there are: name, label, which way is better, what it means, and the function that measures it.

A share is shown in per cent, a score to three decimals, a number to two. A new metric is a function in this folder and
a line here; an installed package adds one by an entry point in the group ``drag_rl.metrics``. Nothing else changes:
results, comparisons and reports read the table.
"""

from __future__ import annotations

from collections.abc import Iterable

from drag_rl.metrics import answers, behaviour, diversity, finding
from drag_rl.metrics.answering import answer_in_context, of_answer, of_citations
from drag_rl.metrics.at_cutoffs import MetricTable, ranked
from drag_rl.metrics.costs import METRICS_OF_COSTS
from drag_rl.metrics.generated import METRICS_OF_ANSWERS
from drag_rl.metrics.metric import Metric, cost, score, share, variety
from drag_rl.metrics.stopping import METRICS_OF_STOPS

__all__ = ["HEADLINES", "METRICS", "SHORT_TABLE", "Metric", "names_of"]

_ALL = (
    share("success", "Success Rate", "a gold page was among the top k of any search", finding.success),
    share(
        "answer_success",
        "Answer Success",
        "the answer is right: ANLS* of 0.5 or more, or it holds a gold answer; where one is known and asked for",
        of_answer(answers.is_right),
    ),
    cost(
        "iterations",
        "Avg Iterations",
        "assistant messages of an episode; the whole budget for a failed one",
        behaviour.iterations,
    ),
    cost(
        "iterations_to_success",
        "Iterations to Success",
        "searches until a gold page was shown; if one was",
        finding.iterations_to_success,
    ),
    share(
        "first_hit_rate",
        "First-Hit Rate",
        "the first search had a gold page among its top k",
        finding.first_hit_rate,
    ),
    cost(
        "first_hit_rank",
        "First-Hit Rank",
        "rank of the best gold page in the first search; if in its top k",
        finding.first_hit_rank,
    ),
    *ranked("first"),
    *ranked("best"),
    *ranked("pooled"),
    cost(
        "first.gold_rank",
        "Gold Rank (first search)",
        "exact rank of the best gold page; the number of pages if it is not ranked",
        finding.first_gold_rank,
    ),
    cost(
        "best.gold_rank",
        "Gold Rank (best search)",
        "exact rank of the best gold page in the episode's best search; the number of pages if it is not ranked",
        finding.best_gold_rank,
    ),
    score(
        "exact_match",
        "Exact Match",
        "the answer is a gold answer; where one is known",
        of_answer(answers.exact_match),
    ),
    score(
        "token_f1",
        "Token F1",
        "words shared with the best gold answer; where one is known",
        of_answer(answers.token_f1),
    ),
    score(
        "anls",
        "ANLS*",
        "normalised Levenshtein similarity, 0 below 0.5; where a gold answer is known",
        of_answer(answers.anls),
    ),
    share(
        "answer_in_context",
        "Answer in Context",
        "a gold answer occurs in what was shown; where one is known",
        answer_in_context,
    ),
    score(
        "citation_precision",
        "Citation Precision",
        "cited pages that are gold and were shown; where answers are asked for",
        of_citations("citation_precision"),
    ),
    score(
        "citation_recall",
        "Citation Recall",
        "gold pages that are cited and were shown; where answers are asked for",
        of_citations("citation_recall"),
    ),
    score(
        "citation_f1",
        "Citation F1",
        "harmonic mean of citation precision and recall, by question",
        of_citations("citation_f1"),
    ),
    share(
        "answered",
        "Answered",
        "the episode ended with an answer; where answers are asked for",
        behaviour.answered,
    ),
    cost(
        "searches",
        "Searches",
        "searches of an episode; the whole budget for a failed one",
        behaviour.searches,
    ),
    *METRICS_OF_STOPS,
    cost(
        "prompt_tokens",
        "Tokens Read",
        "summed over the messages; where the policy tells",
        behaviour.prompt_tokens,
    ),
    cost(
        "completion_tokens",
        "Tokens Written",
        "summed over the messages; where the policy tells",
        behaviour.completion_tokens,
    ),
    *METRICS_OF_COSTS,
    cost(
        "duplicate_query_rate",
        "Duplicate Queries",
        "searches that repeat an earlier one; if any",
        behaviour.duplicate_query_rate,
        unit="share",
    ),
    variety(
        "distinct_1",
        "Distinct-1",
        "different words among the words of a question's queries, all samples together; where there are two",
        diversity.distinct_words,
    ),
    variety(
        "distinct_2",
        "Distinct-2",
        "different pairs of neighbouring words in a question's queries; where there are two queries",
        diversity.distinct_pairs,
    ),
    variety(
        "query_diversity",
        "Query Diversity",
        "mean Jaccard distance of the words of two queries of a question; where there are two",
        diversity.query_diversity,
    ),
    variety(
        "page_diversity",
        "Page Diversity",
        "mean Jaccard distance of the pages of two searches of a question; where two found any",
        diversity.page_diversity,
    ),
    variety(
        "distinct_pages",
        "Distinct Pages",
        "different pages among the hits of a question's searches; where two found any",
        diversity.distinct_pages,
    ),
    cost(
        "malformed_rate",
        "Malformed Messages",
        "messages that are no action; if any",
        behaviour.malformed_rate,
        unit="share",
    ),
    cost(
        "error_rate",
        "Errors",
        "episodes that the server failed; they score 0 above",
        behaviour.error_rate,
        unit="share",
    ),
    *METRICS_OF_ANSWERS,
)
METRICS = MetricTable("metric", {metric.name: metric for metric in _ALL}, group="drag_rl.metrics")
"""By name, in the order of reports."""


def names_of(more: Iterable[str]) -> tuple[str, ...]:
    """The names of the metrics of a report: those of METRICS, then ``more``; each once."""
    return tuple(dict.fromkeys([*METRICS, *more]))


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
SHORT_TABLE: dict[str, str] = HEADLINES | {
    "generator.answer_success": "Generator Success",
    "generator.token_f1": "Generator Token F1",
    "generator.citation_f1": "Generator Citation F1",
    "generator.gold_given": "Gold Given",
}
"""The same with those of a generator, which are shown where one answered."""
