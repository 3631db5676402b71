"""Queries and judgements of a collection that brings its own documents, each a page: what is wrong is left out.

``drag data qrels`` joins a user's judgements over pages that are there already, and is strict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.corpus_lines import clean_id
from data_preprocess.datasets import Questions
from data_preprocess.judged_pages import judged_question
from data_preprocess.qrels import Judgement, read_qrels
from data_preprocess.topics import read_topics
from data_preprocess.written_pages import WrittenPages
from drag_rl.corpus.clean_text import clean_text
from drag_rl.splits import Split
from drag_rl.types import Question
from drag_rl.types.question import MAX_GRADE

Grades = dict[str, int]
"""Document -> grade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSet:
    """The files of a collection's queries and judgements; calling it makes the questions."""

    queries: Sequence[Path]
    qrels: Sequence[tuple[Split, Path]]
    data_source: str
    rows: DroppedRows

    def __call__(self, pages: WrittenPages) -> Questions:
        """The questions of each split, in the order of the queries.

        Judgements of 0 or less are not relevant; of two judgements of one document the last counts, as in BEIR's own
        loader. The gold pages of a question are ordered by their grade, the best first. A query that is judged in two
        splits is in the first of them.
        """
        topics: dict[str, str] = {}
        for path in self.queries:
            for query_id, text in read_topics(path, self.rows.as_reason("queries_that_are_wrong")).items():
                topics.setdefault(query_id, clean_text(text) or query_id)
        judged = {judgement.doc_id for _, path in self.qrels for judgement in _relevant(path)}
        known = pages.known({page_of(doc_id) for doc_id in judged})
        questions: dict[Split, list[Question]] = {}
        for split, path in self.qrels:
            grades = self._grades(path, topics, known)
            own = questions.setdefault(split, [])
            for query_id in [query_id for query_id in topics if query_id in grades]:
                text, gold = topics[query_id], grades.pop(query_id)
                if not gold:
                    self.rows.drop("queries_without_relevant_page")
                elif text:
                    own.append(judged_question(query_id, text, gold, self.data_source))
                    topics[query_id] = (
                        ""  # asked: no other split asks it again, and its text is not held twice
                    )
                else:
                    self.rows.drop("queries_judged_twice")
        return questions

    def _grades(self, path: Path, topics: Mapping[str, str], known: set[str]) -> dict[str, Grades]:
        """The relevant pages of each judged query, with a line for each judgement that cannot be used."""
        grades: dict[str, Grades] = {}
        drop = self.rows.drop
        for one in read_qrels(path, self.rows.as_reason("judgements_that_are_wrong")):
            page_id = page_of(one.doc_id)
            if one.query_id not in topics:
                drop("judgements_of_unknown_queries", one.where, f"there is no query {one.query_id!r}")
                continue
            own = grades.setdefault(one.query_id, {})
            if one.grade > MAX_GRADE:
                drop("judgements_that_are_wrong", one.where, f"grade {one.grade} is more than {MAX_GRADE}")
            elif one.grade >= 1 and page_id not in known:
                drop("judgements_of_unknown_pages", one.where, f"there is no document {one.doc_id!r}")
            else:
                earlier = own.pop(page_id, None)
                if earlier not in (None, one.grade):
                    self.rows.note(
                        one.where,
                        f"{one.doc_id!r} is judged {one.grade} for query {one.query_id!r}, but {earlier} before; the "
                        "last counts",
                    )
                if one.grade >= 1:
                    own[page_id] = one.grade
                else:
                    drop("judgements_not_relevant")
        return grades


def page_of(doc_id: str) -> str:
    """The id of the one page of a document."""
    return f"{clean_id(doc_id)}#1"


def _relevant(path: Path) -> Iterator[Judgement]:
    return (one for one in read_qrels(path, lambda _where, _why: None) if one.grade >= 1)
