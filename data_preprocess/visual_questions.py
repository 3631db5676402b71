"""Questions of visual question answering sets: one row becomes a question, or a line that says why it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_preprocess.datasets import Dataset, ImagePage, Questions
from data_preprocess.parquet_rows import text_of, texts_of
from data_preprocess.pdf_files import PdfFiles
from data_preprocess.visual_rows import VisualRow, document, listed
from data_preprocess.written_pages import WrittenPages
from drag_rl.corpus.clean_text import clean_text
from drag_rl.files.manifest import Problem
from drag_rl.splits import Split
from drag_rl.types import Page, Question


@dataclass(slots=True)
class VisualQuestions:
    """The questions of a data set, by split, as its rows are read."""

    data_source: str
    of_one_document: bool = True
    """Whether a question is asked of the document of its gold pages, and need not name it."""
    own_ids: bool = False
    """Whether question ids stay as they are, instead of having the data set's name before them."""
    splits: dict[Split, list[Question]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    def add(self, row: VisualRow, gold: Sequence[str], *, question_id: Any, answers: Any = None) -> None:
        """Take the question of a row with its gold pages; one without text or gold page is counted, and listed.

        Where ``of_one_document`` says so, it is asked of the document of its gold pages, where that is one.
        """
        text = clean_text(text_of(row.cells.get("question")))
        if not text:
            self.drop(row, "questions_without_text")
        elif not gold:
            self.drop(row, "questions_without_gold_page")
        else:
            own = document(question_id)
            if own and not self.own_ids:
                own = f"{self.data_source}-{own}"
            if own and own in self._ids:
                self.drop(
                    row, "questions_asked_again", f"question id {text_of(question_id)!r} is there twice"
                )
                return
            own = own or f"{self.data_source}-{row.where.replace(' row ', '-')}"
            self._ids.add(own)
            documents = {page_id.rpartition("#")[0] for page_id in gold}
            self.splits.setdefault(row.split, []).append(
                Question(
                    question_id=own,
                    text=text,
                    gold_page_ids=tuple(dict.fromkeys(gold)),
                    answers=tuple(texts_of([clean_text(text_of(answer)) for answer in listed(answers)])),
                    data_source=self.data_source,
                    document=documents.pop() if self.of_one_document and len(documents) == 1 else "",
                )
            )

    def drop(self, row: VisualRow, reason: str, why: str = "") -> None:
        """Leave a row out."""
        self.dropped[reason] += 1
        self.note(row, why or reason.replace("_", " "))

    def note(self, row: VisualRow, why: str) -> None:
        """List what is wrong with a row."""
        self.problems.append(Problem(where=row.where, reason=why))

    def of_images(
        self, images: Iterator[ImagePage], facts: Mapping[str, object], *, numbered: bool = False
    ) -> Dataset:
        """The data set of these questions, whose pages are images; ``numbered`` if gold pages are by page number."""
        return self._dataset(facts, numbered, images=images, questions=self.splits)

    def of_pages(self, pages: Sequence[Page], facts: Mapping[str, object]) -> Dataset:
        """The data set of these questions, by page number, and pages of text, sorted."""
        return self._dataset(facts, True, pages=pages, questions=self.splits)

    def of_pdfs(
        self, pdfs: PdfFiles, ask: Callable[[WrittenPages], None], facts: Mapping[str, object]
    ) -> Dataset:
        """The data set of PDFs whose questions, with page numbers, ``ask`` adds here once the pages are written."""

        def questions(pages: WrittenPages) -> Questions:
            ask(pages)
            return self.splits

        return self._dataset(facts, True, pdfs=pdfs, ask=questions)

    def _dataset(self, facts: Mapping[str, object], numbered: bool, **parts: Any) -> Dataset:
        return Dataset(dropped=self.dropped, problems=self.problems, numbered=numbered, facts=facts, **parts)
