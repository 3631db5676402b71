"""Scores of a generator's answers: 0 for a failed or missing one; undefined where no generator was asked.

``citation_precision`` counts what was taken out of the answer, too: a page that was cited and not given is a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from drag_rl.citations import without_citations
from drag_rl.metrics import answers
from drag_rl.metrics.behaviour import UNDEFINED
from drag_rl.metrics.metric import cost, score, share
from drag_rl.types import Generated, Trajectory


def of_generated(measure: Callable[[Generated, Trajectory], float]) -> Callable[[Trajectory], float]:
    """A measure of what was generated; undefined where no generator was asked."""

    def measured(trajectory: Trajectory) -> float:
        generated = trajectory.generated
        return UNDEFINED if generated is None else measure(generated, trajectory)

    return measured


def of_generated_answer(score: Callable[[str, Iterable[str]], float]) -> Callable[[Trajectory], float]:
    """A score of the generator's text against the gold answers; undefined where no gold answer is known."""

    def measured(generated: Generated, trajectory: Trajectory) -> float:
        golds = trajectory.outcome.question.answers
        if not golds:
            return UNDEFINED
        text = without_citations(generated.text)
        return score(text, golds) if text else 0.0

    return of_generated(measured)


@of_generated
def citation_precision(generated: Generated, trajectory: Trajectory) -> float:
    """The share of the cited pages that are gold; 0 without a citation."""
    cited = len(generated.citations) + len(generated.dropped_citations)
    return _right(generated, trajectory) / cited if cited else 0.0


@of_generated
def citation_recall(generated: Generated, trajectory: Trajectory) -> float:
    """The share of the gold pages that are cited, and were given."""
    return _right(generated, trajectory) / _gold(trajectory)


@of_generated
def citation_f1(generated: Generated, trajectory: Trajectory) -> float:
    """The harmonic mean of citation precision and recall."""
    cited = len(generated.citations) + len(generated.dropped_citations)
    return 2 * _right(generated, trajectory) / (cited + _gold(trajectory))


@of_generated
def dropped_citations(generated: Generated, trajectory: Trajectory) -> float:
    """Pages that were cited and not given."""
    del trajectory
    return float(len(generated.dropped_citations))


@of_generated
def gold_given(generated: Generated, trajectory: Trajectory) -> float:
    """The share of the gold pages that the generator was given."""
    return len(set(generated.page_ids) & set(trajectory.outcome.question.gold_page_ids)) / _gold(trajectory)


@of_generated
def pages_given(generated: Generated, trajectory: Trajectory) -> float:
    """Pages that the generator was given; undefined where it failed."""
    del trajectory
    return UNDEFINED if generated.error else float(len(generated.page_ids))


@of_generated
def refused(generated: Generated, trajectory: Trajectory) -> float:
    """1 if the generator says that the pages do not hold the answer."""
    del trajectory
    return float(generated.refused)


@of_generated
def prompt_tokens(generated: Generated, trajectory: Trajectory) -> float:
    """Tokens that the generator read; undefined where its server does not tell."""
    del trajectory
    return UNDEFINED if generated.prompt_tokens is None else float(generated.prompt_tokens)


@of_generated
def completion_tokens(generated: Generated, trajectory: Trajectory) -> float:
    """Tokens that the generator wrote; undefined where its server does not tell."""
    del trajectory
    return UNDEFINED if generated.completion_tokens is None else float(generated.completion_tokens)


@of_generated
def seconds(generated: Generated, trajectory: Trajectory) -> float:
    """Wall time of the answer; undefined where it failed."""
    del trajectory
    return UNDEFINED if generated.error else generated.seconds


@of_generated
def error_rate(generated: Generated, trajectory: Trajectory) -> float:
    """1 if there is no answer because something failed."""
    del trajectory
    return float(bool(generated.error))


def _right(generated: Generated, trajectory: Trajectory) -> int:
    return len(set(generated.citations) & set(trajectory.outcome.question.gold_page_ids))


def _gold(trajectory: Trajectory) -> int:
    return max(1, len(trajectory.outcome.question.gold_page_ids))


METRICS_OF_ANSWERS = (
    share(
        "generator.answer_success",
        "Generator Success",
        "the generator's answer is right: ANLS* of 0.5 or more, or it holds a gold answer; where one is known",
        of_generated_answer(answers.is_right),
    ),
    score(
        "generator.exact_match",
        "Generator Exact Match",
        "its answer is a gold answer; where one is known",
        of_generated_answer(answers.exact_match),
    ),
    score(
        "generator.token_f1",
        "Generator Token F1",
        "words shared with the best gold answer; where one is known",
        of_generated_answer(answers.token_f1),
    ),
    score(
        "generator.anls",
        "Generator ANLS*",
        "normalised Levenshtein similarity, 0 below 0.5; where a gold answer is known",
        of_generated_answer(answers.anls),
    ),
    score(
        "generator.citation_precision",
        "Generator Citation Precision",
        "cited pages that are gold and were given",
        citation_precision,
    ),
    score(
        "generator.citation_recall",
        "Generator Citation Recall",
        "gold pages that are cited and were given",
        citation_recall,
    ),
    score(
        "generator.citation_f1",
        "Generator Citation F1",
        "harmonic mean of citation precision and recall, by question",
        citation_f1,
    ),
    share("generator.gold_given", "Gold Given", "gold pages that the generator was given", gold_given),
    cost("generator.pages", "Pages Given", "pages that the generator was given", pages_given),
    cost(
        "generator.dropped_citations",
        "Dropped Citations",
        "pages that it cites and was not given",
        dropped_citations,
    ),
    cost(
        "generator.refused", "Refused", "it says that the pages do not hold the answer", refused, unit="share"
    ),
    cost(
        "generator.prompt_tokens",
        "Generator Tokens Read",
        "of one answer; where its server tells",
        prompt_tokens,
    ),
    cost(
        "generator.completion_tokens",
        "Generator Tokens Written",
        "of one answer; where its server tells",
        completion_tokens,
    ),
    cost("generator.seconds", "Generator Seconds", "wall time of one answer", seconds),
    cost(
        "generator.error_rate",
        "Generator Errors",
        "answers that failed; they score 0 above",
        error_rate,
        unit="share",
    ),
)
"""What is measured of a generator's answers, as the table of metrics lists it."""
