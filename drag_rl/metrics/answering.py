"""Answer and citation scores of trajectories: 0 without an answer, undefined where none was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from drag_rl.metrics import answers
from drag_rl.metrics.behaviour import UNDEFINED
from drag_rl.metrics.citations import citation_scores
from drag_rl.types import Trajectory


def of_answer(score: Callable[[str, Iterable[str]], float]) -> Callable[[Trajectory], float]:
    """A score of the answer's text against the gold answers; undefined where no gold answer is known."""

    def measured(trajectory: Trajectory) -> float:
        outcome = trajectory.outcome
        golds = outcome.question.answers
        if not golds or not outcome.answer_asked:
            return UNDEFINED
        text = answers.uncited(outcome.answer) if outcome.answer else ""
        return score(text, golds) if text else 0.0

    return measured


def of_citations(name: str) -> Callable[[Trajectory], float]:
    """One of the citation scores, by its name there."""

    def measured(trajectory: Trajectory) -> float:
        outcome = trajectory.outcome
        return citation_scores(outcome)[name] if outcome.answer_asked else UNDEFINED

    return measured


def answer_in_context(trajectory: Trajectory) -> float:
    """1 if a gold answer occurs in what was shown; undefined where no gold answer is known."""
    outcome = trajectory.outcome
    return answers.answer_in_context(outcome) if outcome.question.answers else UNDEFINED
