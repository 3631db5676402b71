"""A question of the user."""

from __future__ import annotations

from dataclasses import dataclass

from drag_rl.protocol import SearchScope

MAX_GRADE = 1000
"""The highest grade of a gold page. Judged collections use grades up to about 10."""


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
    gold_grades: tuple[int, ...] = ()
    """How well each of ``gold_page_ids`` answers, in their order, as judged: whole numbers from 1, higher is better.
    Empty where all are 1, which is how grades that are all 1 are kept; ``grades`` reads both."""
    document: str = ""
    """Id of the document that the question is asked of, which its words need not name ("according to the report");
    empty: it is asked of the whole corpus. Episodes search in it where ``scope`` says so."""

    def __post_init__(self) -> None:
        """Raises ValueError for a duplicated gold page, which would make every share of the gold pages wrong.

        It raises ValueError, too, for grades that are not those of the gold pages, and for a gold page outside the
        document that the question is asked of.
        """
        if len(set(self.gold_page_ids)) < len(self.gold_page_ids):
            twice = next(page for page in self.gold_page_ids if self.gold_page_ids.count(page) > 1)
            raise ValueError(
                f"question {self.question_id!r}: gold page {twice!r} is duplicated; name it once"
            )

        if self.gold_grades:
            self._check_grades()
        outside = (page for page in self.gold_page_ids if page.rpartition("#")[0] != self.document)
        if self.document and (page := next(outside, None)) is not None:
            raise ValueError(
                f"question {self.question_id!r}: gold page {page!r} is no page of {self.document!r}, the document that "
                "the question is asked of"
            )

    def _check_grades(self) -> None:
        if len(self.gold_grades) != len(self.gold_page_ids):
            raise ValueError(
                f"question {self.question_id!r}: has {len(self.gold_grades)} grades for {len(self.gold_page_ids)} gold "
                "pages; give each page one"
            )
        wrong = next((grade for grade in self.gold_grades if not 1 <= grade <= MAX_GRADE), None)
        if wrong is not None:
            raise ValueError(
                f"question {self.question_id!r}: a gold page has the grade {str(wrong)[:20]}, which is not a whole "
                f"number from 1 to {MAX_GRADE}"
            )
        if set(self.gold_grades) == {1}:
            object.__setattr__(self, "gold_grades", ())

    @property
    def grades(self) -> tuple[int, ...]:
        """The grade of each gold page, in the order of ``gold_page_ids``; 1 where none is known."""
        return self.gold_grades or (1,) * len(self.gold_page_ids)

    def searched(self, query: str, *, expand: bool) -> str:
        """What a query of the policy searches: its words, or, when it only expands the question, those of both."""
        return f"{self.text} {query}" if expand else query

    def searched_in(self, scope: SearchScope) -> str | None:
        """The document in which a search for it stays; None for one of the whole corpus."""
        return (self.document or None) if scope == "document" else None
