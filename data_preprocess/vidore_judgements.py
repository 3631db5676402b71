"""Queries and judgements in parquet, as BEIR and MTEB lay them out, over the pages of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_preprocess.parquet_rows import parquet_rows, text_of, texts_of
from data_preprocess.question_rows import shown
from data_preprocess.vidore_corpus import Corpus
from data_preprocess.vidore_files import TableFile
from drag_rl.corpus.clean_text import clean_text
from drag_rl.files.manifest import Problem
from drag_rl.splits import Split
from drag_rl.types import Question
from drag_rl.types.question import MAX_GRADE


@dataclass(frozen=True, slots=True)
class _Query:
    """A row of the queries."""

    text: str
    language: str
    answers: tuple[str, ...]


@dataclass(slots=True)
class _Notes:
    """What is left out, counted and, where a row is wrong, listed."""

    problems: list[Problem]
    dropped: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, where: str = "", why: str = "") -> None:
        self.dropped[reason] += 1
        if why:
            self.problems.append(Problem(where=where, reason=why))


def judged(
    source: Path,
    queries: Sequence[TableFile],
    qrels: Sequence[TableFile],
    corpus: Corpus,
    problems: list[Problem],
) -> tuple[dict[Split, list[Question]], Counter[str], dict[str, str]]:
    """The questions of each split of the judgements, the counts of what was left out, and question id -> language.

    Grades are kept: whole numbers, though they may be written ``1.0``; those below 1 are not relevant. Of two
    judgements of the same page the last counts, as in MTEB. The best pages come first.
    """
    notes = _Notes(problems)
    asked = _queries(queries, notes)
    questions: dict[Split, list[Question]] = {}
    judged_ids: set[str] = set()
    for split in dict.fromkeys(file.split for file in qrels):
        grades = _grades([file for file in qrels if file.split == split], asked, corpus, notes)
        judged_ids |= grades.keys()
        kept = [query_id for query_id in asked if grades.get(query_id)]
        notes.dropped["queries_without_relevant_page"] += len(grades) - len(kept)
        name = source.resolve().name
        questions[split] = [_question(one, asked[one], grades[one], name) for one in kept]
    notes.dropped["queries_without_judgement"] += len(asked.keys() - judged_ids)
    languages = {query_id: query.language for query_id, query in asked.items() if query.language}
    return questions, +notes.dropped, languages


def _queries(files: Sequence[TableFile], notes: _Notes) -> dict[str, _Query]:
    found: dict[str, _Query] = {}
    for file in files:
        id_column, text_column = file.needed("query_id", "id"), file.needed("query", "text")
        answers = [name for name in (file.column("answer"), file.column("raw_answers")) if name]
        language = file.column("language")
        names = [id_column, text_column, *answers, *([language] if language else [])]
        for number, row in parquet_rows(file.path, names):
            where = f"{file.where} row {number}"
            query_id, text = text_of(row[id_column]), clean_text(text_of(row[text_column]))
            if not query_id:
                notes.drop("queries_without_id", where, "has no query id")
            elif not text:
                notes.drop("queries_without_text", where, f"query {query_id!r} has no text")
            elif query_id in found:
                if found[query_id].text != text:
                    why = f"query id {query_id!r} is there twice, with another text; the first is used"
                    notes.drop("queries_asked_again", where, why)
            else:
                known = text_of(row[language]) if language else ""
                texts = [text for name in answers for text in texts_of(row[name])]
                found[query_id] = _Query(text, known or file.language, tuple(dict.fromkeys(texts)))
    return found


def _grades(
    files: Sequence[TableFile], asked: dict[str, _Query], corpus: Corpus, notes: _Notes
) -> dict[str, dict[str, int]]:
    """Query id -> page id -> grade of the relevant pages; a judged query without one has none."""
    grades: dict[str, dict[str, int]] = {}
    for file in files:
        names = [file.needed(name) for name in ("query_id", "corpus_id", "score")]
        for number, row in parquet_rows(file.path, names):
            where = f"{file.where} row {number}"
            query_id, corpus_id, score = (text_of(row[name]) for name in names)
            page_id, grade = corpus.page_id(corpus_id), _whole(score)
            if query_id not in asked:
                notes.drop(
                    "judgements_of_unknown_queries", where, f"judges query {query_id!r}, which has no text"
                )
                continue
            pages = grades.setdefault(query_id, {})
            if page_id is None:
                why = f"judges {corpus_id!r}, which is not in the corpus"
                notes.drop("judgements_of_unknown_pages", where, why)
            elif grade is None or grade > MAX_GRADE:
                why = f"score {shown(score)} is no whole number up to {MAX_GRADE}"
                notes.drop("judgements_without_grade", where, why)
            else:
                if pages.get(page_id, grade) != grade:
                    why = (
                        f"{corpus_id!r} is judged {grade} for query {query_id!r}, but {pages[page_id]} before"
                    )
                    notes.drop("judgements_made_again", where, f"{why}; the last counts")
                pages[page_id] = grade
    for pages in grades.values():
        for page_id in [page_id for page_id, grade in pages.items() if grade < 1]:
            notes.drop("judgements_not_relevant")
            del pages[page_id]
    return grades


def _whole(score: str) -> int | None:
    """A score as a grade; None if it is no whole number.

    >>> _whole("2"), _whole("-1"), _whole("0.5"), _whole("")
    (2, -1, None, None)
    """
    try:
        value = float(score)
        return int(value) if value.is_integer() else None
    except ValueError:
        return None


def _question(query_id: str, query: _Query, grades: dict[str, int], data_source: str) -> Question:
    best_first = sorted(grades, key=lambda page_id: -grades[page_id])
    return Question(
        question_id=query_id,
        text=query.text,
        gold_page_ids=tuple(best_first),
        gold_grades=tuple(grades[page_id] for page_id in best_first),
        answers=query.answers,
        data_source=data_source,
    )
