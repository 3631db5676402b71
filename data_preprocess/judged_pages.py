"""Joins queries and judgements over the pages that can be found: questions with graded gold pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

from data_preprocess.qrels import Judgement, read_qrels
from drag_rl.errors import InputError
from drag_rl.types import Page, Question
from drag_rl.types.question import MAX_GRADE


class JudgedPages:
    """Finds the page that a judgement means."""

    def __init__(self, pages: Iterable[Page], left_out: Mapping[str, str]) -> None:
        self._pages: set[str] = set()
        self._documents: dict[str, list[str]] = {}
        for page in pages:
            if page.status == "ok" and page.page_id not in left_out:
                self._pages.add(page.page_id)
                self._documents.setdefault(page.doc_id, []).append(page.page_id)

    def find(self, doc_id: str) -> str | None:
        """The page of this id, or the only page of the document of this name; None where there is neither.

        Ids may be percent-encoded, as ``drag evaluate --trec`` writes them. Raises ``InputError`` for a document of
        several pages, for a judgement of it does not say which of them answers.
        """
        for name in (doc_id, unquote(doc_id)):
            if name in self._pages:
                return name
            pages = self._documents.get(name, [])
            if len(pages) > 1:
                raise InputError(
                    f"document {name!r} has {len(pages)} pages that can be found; judge one, such as {pages[0]!r}"
                )
            if pages:
                return pages[0]
        return None


def judged_questions(
    topics: Mapping[str, str],
    path: Path,
    pages: JudgedPages,
    *,
    data_source: str,
    drop_unknown: bool,
) -> tuple[list[Question], Counter[str]]:
    """The questions of a file of judgements, in the order of ``topics``, and the counts of what was dropped.

    The gold pages of a question are ordered by their grade, the best first.
    Raises ``InputError`` naming the file and line: of a page that is not there, unless ``drop_unknown``, of a grade
    that is too high, and of a second judgement that contradicts the first.
    """
    dropped: Counter[str] = Counter()
    gold: dict[str, dict[str, int]] = {}
    unknown: list[Judgement] = []
    for judgement in read_qrels(path):
        grades = gold.setdefault(judgement.query_id, {})
        if judgement.grade < 1:
            dropped["judgements_not_relevant"] += 1
            continue
        try:
            page_id = pages.find(judgement.doc_id)
            _check(judgement, grades.get(page_id or ""))
        except InputError as error:
            raise InputError(f"{judgement.where}: {error}") from None
        if page_id is None:
            unknown.append(judgement)
        else:
            grades[page_id] = judgement.grade
    if unknown and not drop_unknown:
        first = unknown[0]
        more = f", nor are the documents of {len(unknown) - 1} other judgements" if unknown[1:] else ""
        raise InputError(
            f"{first.where}: {first.doc_id!r} is not among the pages that can be found{more}; "
            "`drag data qrels --drop-unknown` leaves them out"
        )
    dropped["judgements_of_unknown_pages"] += len(unknown)
    dropped["queries_without_text"] += sum(query_id not in topics for query_id in gold)
    dropped["queries_without_relevant_page"] += sum(
        not grades for query_id, grades in gold.items() if query_id in topics
    )
    questions = [
        judged_question(query_id, text, gold[query_id], data_source)
        for query_id, text in topics.items()
        if gold.get(query_id)
    ]
    return questions, +dropped


def judged_question(query_id: str, text: str, gold: Mapping[str, int], data_source: str) -> Question:
    """The question of a query whose relevant pages have these grades; its gold pages stand best first."""
    best_first = sorted(gold, key=lambda page_id: -gold[page_id])
    return Question(
        question_id=query_id,
        text=text,
        gold_page_ids=tuple(best_first),
        gold_grades=tuple(gold[page_id] for page_id in best_first),
        data_source=data_source,
    )


def _check(judgement: Judgement, earlier: int | None) -> None:
    if judgement.grade > MAX_GRADE:
        raise InputError(f"grade {judgement.grade} is more than {MAX_GRADE}")
    if earlier not in (None, judgement.grade):
        raise InputError(
            f"{judgement.doc_id!r} is judged {judgement.grade} for query {judgement.query_id!r}, but {earlier} before"
        )
