"""Stop when the pages shown hold the question's words."""

from __future__ import annotations

from math import log
from typing import ClassVar, Literal

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.stopping.rule import StopRule, StopSettings
from drag_rl.retrieval.page_texts import PageTexts


class CoverageSettings(StopSettings):
    """Options of the rule."""

    threshold: float = Field(default=0.8, ge=0, le=1)
    """The share of the question's words, each weighed by its idf, that must stand in what was shown."""
    text: Literal["together", "best"] = "together"
    """Whether the words may stand in all that was shown together, or must stand in what was shown of one page."""


class StopByCoverage(StopRule):
    """Its confidence is the share of the question's words that were shown, weighed by how rare they are.

    ``sum of idf(w) over words shown / sum of idf(w) over words of the question``, with BM25's
    ``idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5))``. Words are the index's terms (stemmed, without stop words); those
    that no page holds are left out, for no search can show them. The rule is ours.
    """

    settings_type: ClassVar[type[StopSettings]] = CoverageSettings
    settings: CoverageSettings

    async def confidence(self, state: EpisodeState) -> float:
        """The weighed share; 1 for a question without a word that is on some page."""
        pages = self.retriever.pages
        weights = idf_of(pages, state.question.text)
        shown = [_terms(pages, text) for turn in state.turns for text in turn.shown_texts]
        if self.settings.text == "together":
            shown = [set().union(*shown)]
        total = sum(weights.values())
        shares = (sum(weights[term] for term in weights.keys() & terms) / total for terms in shown if total)
        return min(1.0, max(shares, default=0.0 if total else 1.0))


def idf_of(pages: PageTexts, text: str) -> dict[str, float]:
    """Each term of a text that some page holds, with its inverse document frequency (BM25's)."""
    number = len(pages)
    counts = {term: pages.pages_with(term) for term in sorted(_terms(pages, text))}
    return {term: log(1 + (number - n + 0.5) / (n + 0.5)) for term, n in counts.items() if n}


def _terms(pages: PageTexts, text: str) -> set[str]:
    return {term for _, _, term in pages.tokenizer.spans(text)}
