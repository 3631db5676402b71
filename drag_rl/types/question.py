"""A question of the user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A user's question with its gold pages."""

    question_id: str
    """Unique within a question set."""
    text: str
    gold_page_ids: tuple[str, ...]
    """Every page that answers, once; at least one."""
    answers: tuple[str, ...] = ()
    """Acceptable answers; empty when unknown."""
    data_source: str = "user"
    """What kind of question it is (``faq``, ``outline``, ``index``, ``user``): verl groups its metrics by it."""
    images: tuple[str, ...] = ()
    """Paths of image files that belong to the question."""

    def __post_init__(self) -> None:
        """Raises ValueError for a duplicated gold page, which would make every share of the gold pages wrong."""
        if len(set(self.gold_page_ids)) < len(self.gold_page_ids):
            twice = next(page for page in self.gold_page_ids if self.gold_page_ids.count(page) > 1)
            raise ValueError(
                f"question {self.question_id!r}: gold page {twice!r} is duplicated; name it once"
            )

    def searched(self, query: str, *, expand: bool) -> str:
        """What a query of the policy searches: its words, or, when it only expands the question, those of both."""
        return f"{self.text} {query}" if expand else query
