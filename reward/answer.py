"""Credit for the answer's text. A question without known answers, and an episode without an answer, score 0.

Texts are compared as in SQuAD and Search-R1, after the answer's citations are taken out. The comparison is that of
``drag_rl.metrics.answers``, so a reward and the metric of the same name agree. Citations are scored by
``reward.citations``.
"""

from __future__ import annotations

from functools import lru_cache

from drag_rl.metrics import answers
from drag_rl.types import Outcome


def exact_match(outcome: Outcome) -> float:
    """1 if the normalised answer equals one of the normalised gold answers, else 0 (Search-R1, arXiv 2503.09516)."""
    if outcome.answer is None:
        return 0.0
    return answers.exact_match(answers.uncited(outcome.answer), outcome.question.answers)


def token_f1(outcome: Outcome) -> float:
    """The best F1 over gold answers of the normalised words in common, in [0, 1] (Rajpurkar et al. 2016)."""
    if outcome.answer is None:
        return 0.0
    return answers.token_f1(answers.uncited(outcome.answer), outcome.question.answers)


def anls(outcome: Outcome) -> float:
    """ANLS* of the answer against its alternatives, in [0, 1]; below 0.5 it counts 0 (Peer et al. 2024)."""
    if outcome.answer is None:
        return 0.0
    return answers.anls(answers.uncited(outcome.answer), outcome.question.answers)


@lru_cache(maxsize=1)  # three scores of an episode ask in a row
def answer_in_context(outcome: Outcome) -> float:
    """1 if the page text that was shown contains a gold answer, both normalised, else 0.

    It needs no answer, so it suits a search agent that hands its pages over to another model, which answers.
    """
    return answers.answer_in_context(outcome)
