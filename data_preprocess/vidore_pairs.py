"""ViDoRe's first form: one table whose rows are a query and its page.

As in the authors' evaluator, rows without a query are pages to search only, a query that is asked of several pages
counts for the last of them, and pages are the same where ``image_filename`` is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_preprocess.datasets import Dataset, ImagePage
from data_preprocess.parquet_rows import image_of, parquet_rows, text_of, texts_of
from data_preprocess.vidore_files import TableFile
from drag_rl.corpus.clean_text import clean_text
from drag_rl.files.manifest import Problem
from drag_rl.splits import Split
from drag_rl.types import Question


def read_pairs(source: Path, files: Sequence[TableFile], facts: dict[str, object]) -> Dataset:
    """The pages and queries of such tables. Raises ``InputError`` for a damaged file."""
    dropped: Counter[str] = Counter()
    questions: dict[Split, dict[str, Question]] = {}
    languages: dict[str, str] = {}
    ids: set[str] = set()
    for file in files:
        of_split = questions.setdefault(file.split, {})
        named, known_as = file.column("questionId", "question_id", "query_id"), file.column("language")
        for number, row in parquet_rows(
            file.path, [name for name in file.columns.values() if name != "image"]
        ):
            text = clean_text(text_of(row[file.needed("query")]))
            if not text:
                dropped["queries_without_text"] += 1
                continue
            own = text_of(row[named]) if named else ""
            question_id = own if own and own not in ids else f"{file.path.stem}-{number}"
            ids.add(question_id)
            earlier = of_split.pop(text, None)
            dropped["queries_asked_again"] += earlier is not None
            answer = file.column("answer", "answers")
            of_split[text] = Question(
                question_id=question_id,
                text=text,
                gold_page_ids=(f"{_doc_id(file, number, row)}#1",),
                answers=tuple(texts_of(row[answer])) if answer else (),
                data_source=source.resolve().name,
            )
            if known_as and (language := text_of(row[known_as])):
                languages[question_id] = language
    problems: list[Problem] = []
    return Dataset(
        images=_images(files, problems),
        questions={split: list(asked.values()) for split, asked in questions.items()},
        dropped=+dropped,
        problems=problems,
        languages=languages,
        pages_of_questions=True,
        facts=facts,
    )


def _doc_id(file: TableFile, number: int, row: dict[str, object]) -> str:
    """A page is a document of its own, named as its image."""
    column = file.column("image_filename")
    name = " ".join(clean_text(text_of(row[column])).split()) if column else ""
    return name or f"{file.path.stem}-{number}"


def _images(files: Sequence[TableFile], problems: list[Problem]) -> Iterator[ImagePage]:
    seen: dict[str, bytes] = {}
    for file in files:
        text = file.column("markdown", "text")
        names = [name for name in (file.column("image_filename"), text) if name]
        for number, row in parquet_rows(file.path, [file.needed("image"), *names]):
            image, doc_id = image_of(row[file.needed("image")]), _doc_id(file, number, row)
            problem = image if isinstance(image, str) else ""
            data = b"" if isinstance(image, str) else image
            digest = hashlib.sha256(data).digest()
            where = f"{file.where} row {number}"
            if problem:
                problems.append(Problem(where=where, reason=problem))
            if doc_id in seen:
                if seen[doc_id] != digest:
                    reason = f"{doc_id!r} is another image than before; the first is used"
                    problems.append(Problem(where=where, reason=reason))
                continue
            seen[doc_id] = digest
            yield ImagePage(
                doc_id=doc_id,
                page_number=1,
                image=data,
                text=text_of(row[text]) if text else "",
                problem=problem,
            )
