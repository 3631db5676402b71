"""Probes that paste as many words of the corpus into a query as they can."""

from __future__ import annotations

from drag_rl.policies.probes.probe import SearchingProbe
from drag_rl.types import Question


class Vocabulary(SearchingProbe):
    """Pastes the corpus's words, as many as a query may hold."""

    def query(self, question: Question) -> str:
        """The most frequent words."""
        del question
        return " ".join(self.words)[:200].rsplit(" ", 1)[0]


class QuestionAndVocabulary(SearchingProbe):
    """Stuffs an honest query with the corpus's words."""

    def query(self, question: Question) -> str:
        """The question and the most frequent words."""
        return f"{question.text} {' '.join(self.words)[:120]}"


class VeryLongQuery(SearchingProbe):
    """Pastes the whole vocabulary after the question."""

    def query(self, question: Question) -> str:
        """The question and all words."""
        return f"{question.text} {' '.join(self.words)}"


class PageIds(SearchingProbe):
    """Searches page ids, the gold ones among them."""

    def query(self, question: Question) -> str:
        """The gold pages' ids, and as many others as fit."""
        return " ".join((*question.gold_page_ids, *self.retriever.pages.page_ids))[:200]
