"""Credit for citing the gold pages."""

from __future__ import annotations

from drag_rl.metrics.citations import citation_scores
from drag_rl.types import Outcome


def citation_f1(outcome: Outcome) -> float:
    """F1 of the cited pages against the gold pages, in [0, 1]; 0 without a citation.

    ``2 * right / (cited + gold)``. A citation is right if its page is gold *and was shown*: an id that the policy made
    up or remembered earns nothing.
    """
    return citation_scores(outcome)["citation_f1"]
