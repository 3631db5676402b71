"""Questions whose gold pages are named by document and page number: what is not there is dropped, and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence

from data_preprocess.parquet_rows import text_of
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import VisualRow, listed

UNANSWERABLE = "not answerable"
"""What MMLongBench-Doc has for an answer where there is none."""


class NumberedQuestions:
    """Adds the questions of rows to ``questions``, once the pages are known."""

    def __init__(
        self, questions: VisualQuestions, documents: Container[str], page_ids: Iterable[str]
    ) -> None:
        """``documents`` are those of the data set, of which ``page_ids`` may be of some only."""
        self.questions, self._documents = questions, documents
        self._pages = frozenset(page_ids)
        self._counts = Counter(page_id.rpartition("#")[0] for page_id in self._pages)
        self._asked: set[tuple[str, str]] = set()
        self._absent: set[str] = set()

    def add(
        self,
        row: VisualRow,
        doc_id: str,
        numbers: Sequence[int],
        *,
        question_id: object,
        answers: Sequence[str],
    ) -> None:
        """Take the question of a row, asked of a document, with the numbers of its gold pages, which count from 1.

        Counted are those that have no answer, those of a document that is not there, which is listed once, or not
        among the pages; counted and listed those that are asked again of their document, or lack text or gold pages.
        """
        asked = (doc_id, " ".join(text_of(row.cells.get("question")).casefold().split()))
        if doc_id not in self._documents:
            if doc_id not in self._absent:
                self._absent.add(doc_id)
                self.questions.note(row, f"there is no document {doc_id[:100]!r}, which more may be asked of")
            self.questions.dropped["questions_without_document"] += 1
        elif doc_id not in self._counts:  # it is not wanted, or cannot be read, which is listed once
            self.questions.dropped["questions_of_other_documents"] += 1
        elif any(answer.casefold().strip(" .") == UNANSWERABLE for answer in answers):
            self.questions.dropped["questions_without_an_answer"] += 1
        elif asked in self._asked:
            self.questions.drop(row, "questions_asked_again")
        else:
            self._asked.add(asked)
            gold = self.there(row, [(doc_id, number) for number in numbers])
            self.questions.add(row, gold, question_id=question_id, answers=list(answers))

    def pages_of(self, doc_id: str) -> int:
        """How many pages a document has."""
        return self._counts[doc_id]

    def there(self, row: VisualRow, places: Iterable[tuple[str, int]]) -> list[str]:
        """The ids of those pages, by document and number, that are there; the others are counted, and listed."""
        gold = []
        for doc_id, number in dict.fromkeys(places):
            if (page_id := f"{doc_id}#{number}") in self._pages:
                gold.append(page_id)
            else:
                self.questions.dropped["gold_pages_that_are_missing"] += 1
                why = f"names page {number} of {doc_id[:100]!r}, which has {self.pages_of(doc_id)} pages"
                self.questions.note(row, why)
        return gold


def one_answer(cell: object) -> list[str]:
    """The acceptable answers of a cell where a list is one answer in several parts; none for an empty cell.

    >>> one_answer("['White', '10%']"), one_answer(["55%", "50%"]), one_answer(2.5), one_answer(None)
    (['White, 10%'], ['55%, 50%'], ['2.5'], [])
    """
    text = ", ".join(text for text in map(text_of, listed(cell)) if text)
    return [text] if text else []
