"""How right the cited pages are."""

from __future__ import annotations

from drag_rl.types import Outcome


def citation_scores(outcome: Outcome) -> dict[str, float]:
    """Precision, recall and F1 of the cited pages against the gold pages, each in [0, 1]; all 0 without a citation.

    A citation is right if its page is gold *and was shown*: an id that the policy made up or remembered earns nothing.
    """
    cited = set(outcome.answer.citations) if outcome.answer else set()
    gold = set(outcome.question.gold_page_ids)
    right = len(cited & gold & outcome.shown_page_ids)
    return {
        "citation_precision": right / len(cited) if right else 0.0,
        "citation_recall": right / len(gold) if right else 0.0,
        "citation_f1": 2 * right / (len(cited) + len(gold)) if right else 0.0,
    }
