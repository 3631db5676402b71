"""ViDoSeek (Wang et al. 2025, arXiv 2502.18017): ``drag data convert vidoseek --source FOLDER``.

The folder holds ``vidoseek.json``, ``{"examples": [...]}``, and its PDFs, as files or in ``vidoseek_pdf_document.zip``.
An example has ``uid``, ``query``, ``reference_answer``, and in ``meta_info`` the ``file_name`` and ``reference_page``,
a list that counts from 1. VRAG (arXiv 2505.22019) keeps its conversions of SlideVQA and MMLongBench-Doc in the same
form, in files such as ``SlideVQA_train.json``, whose name tells the split; theirs has numbers for ``uid``. Pages may be
images instead, ``<document>_<page>.jpg``. The questions were made to be asked of the whole corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from data_preprocess.datasets import Dataset, ImagePage
from data_preprocess.json_rows import is_rows, json_rows
from data_preprocess.numbered_questions import NumberedQuestions, one_answer
from data_preprocess.parquet_rows import text_of
from data_preprocess.pdf_files import document_name, find_pdfs
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import UniquePages, VisualRow, document, listed, split_of, whole
from data_preprocess.written_pages import WrittenPages
from drag_rl.corpus.folder_listing import files_below, refusal
from drag_rl.corpus.image_pages import SUFFIXES
from drag_rl.errors import InputError

FACTS = {
    "licence": "Apache 2.0; the documents are their authors'",
    "citation": "ViDoSeek: Wang et al. 2025, arXiv 2502.18017",
}
_PAGE = re.compile(r"(?P<document>.+)_(?P<number>[0-9]{1,6})")


def read_vidoseek(source: Path) -> Dataset:
    """The documents and questions. Raises ``InputError`` for a folder that holds none, or a damaged file."""
    rows, questions = list(_rows(source)), VisualQuestions("vidoseek", of_one_document=False)
    if pdfs := find_pdfs(source, needed=False):

        def ask(pages: WrittenPages) -> None:
            _ask(rows, NumberedQuestions(questions, pdfs, pages.ids()))

        return questions.of_pdfs(pdfs, ask, FACTS)
    images = _page_images(source)
    if not images:
        raise InputError(f"--source {source}: holds neither PDFs nor page images")
    documents = {doc_id for doc_id, _ in images}
    page_ids = (f"{doc_id}#{number}" for doc_id, number in images)
    _ask(rows, NumberedQuestions(questions, documents, page_ids))
    return questions.of_images(_images(source, images, UniquePages(questions.problems)), FACTS, numbered=True)


def _rows(source: Path) -> Iterator[VisualRow]:
    paths = sorted(source.rglob("*.json")) if source.is_dir() else []
    found = [path for path in paths if is_rows(path, "examples", "query", "meta_info")]
    if not found:
        raise InputError(f'--source {source}: holds no JSON file of {{"examples": [{{"query": ...}}]}}')
    for path in found:
        where = path.relative_to(source).as_posix()
        for number, cells in enumerate(json_rows(path, "examples"), start=1):
            told = {"question": cells.get("query"), "data": path.stem}
            yield VisualRow(f"{where} row {number}", split_of(path) or "test", cells | told)


def _ask(rows: list[VisualRow], asked: NumberedQuestions) -> None:
    several = len({row.cells["data"] for row in rows}) > 1
    for row in rows:
        meta = row.cells.get("meta_info")
        meta = meta if isinstance(meta, dict) else {}
        uid = text_of(row.cells.get("uid"))
        asked.add(
            row,
            document(document_name(text_of(meta.get("file_name")))),
            [page for cell in listed(meta.get("reference_page")) if (page := whole(cell)) is not None],
            question_id=f"{row.cells['data']}-{uid}" if several and uid else uid,
            answers=one_answer(row.cells.get("reference_answer")),
        )


def _page_images(source: Path) -> dict[tuple[str, int], str]:
    """Document and page number -> path below the folder."""
    found: dict[tuple[str, int], str] = {}
    for file in sorted(files_below(source, SUFFIXES, [])):
        match = _PAGE.fullmatch(PurePosixPath(file).stem)
        if match and not refusal(source, file):
            found.setdefault((document(match["document"]), int(match["number"])), file)
    return found


def _images(source: Path, images: dict[tuple[str, int], str], pages: UniquePages) -> Iterator[ImagePage]:
    for (doc_id, number), file in images.items():
        yield from pages.page(file, doc_id, number, (source / file).read_bytes())
