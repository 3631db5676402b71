"""Collections of BEIR (Thakur et al. 2021, arXiv 2104.08663): ``drag data convert beir --source FOLDER``.

A document is a page, ``<its id>#1``, with its title above its text. Queries keep their splits and their grades.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.datasets import Dataset
from data_preprocess.judged_pages import JudgedPages, judged_questions
from data_preprocess.judged_questions import beir_files
from data_preprocess.question_rows import read_rows
from data_preprocess.topics import read_topics
from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.files.manifest import sha256_file
from drag_rl.splits import Split
from drag_rl.types import Page, Question


def read_beir(source: Path) -> Dataset:
    """The documents and judged queries of a folder with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/*.tsv``.

    Raises ``InputError`` naming the file and the line that is wrong.
    """
    queries, qrels = beir_files(source)
    pages = sorted(_pages(source / "corpus.jsonl"), key=lambda page: page.doc_id)
    topics, known = read_topics(queries[0]), JudgedPages(pages, {})
    questions: dict[Split, list[Question]] = {}
    dropped: Counter[str] = Counter()
    for split, path in qrels:
        questions[split], lost = judged_questions(
            topics, path, known, data_source=source.resolve().name, drop_unknown=False
        )
        dropped += lost
    return Dataset(pages=pages, questions=questions, dropped=dropped)


def _pages(path: Path) -> Iterator[Page]:
    lines: dict[str, int] = {}
    sha256 = ""
    for number, row in read_rows(path):
        sha256 = sha256 or sha256_file(path)
        doc_id, title, text = row.get("_id"), row.get("title") or "", row.get("text")
        if not (
            isinstance(doc_id, str) and doc_id.strip() and isinstance(title, str) and isinstance(text, str)
        ):
            raise InputError(
                f'{path} line {number}: is not a document of BEIR, {{"_id": ..., "title": ..., "text": ...}}'
            )
        doc_id = doc_id.strip()
        if doc_id in lines:
            raise InputError(
                f"{path} line {number}: document {doc_id!r} is there twice, line {lines[doc_id]} has it"
            )
        lines[doc_id] = number
        whole = clean_text(f"{title}\n\n{text}").strip()
        yield Page(
            page_id=f"{doc_id}#1",
            doc_id=doc_id,
            page_number=1,
            label="",
            text=whole,
            width_pt=0.0,
            height_pt=0.0,
            source_file="",
            source_sha256=sha256,
            text_source="ocr" if whole else "none",
            status="ok",
            reason="" if whole else "the collection has no text for it",
        )
