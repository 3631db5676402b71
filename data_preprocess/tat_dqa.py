"""TAT-DQA (Zhu et al. 2022, arXiv 2207.11871): ``drag data convert tat-dqa --source FOLDER``.

The folder holds ``tatdqa_dataset_{train,dev,test}.json`` and ``tatdqa_docs_{train,dev,test}.zip``, or what these unpack
to: ``<uid>.pdf``, the one to three pages of a report, and ``<uid>.json``, their layout. Where there is
``tatdqa_dataset_test_gold.json`` it is read instead of ``..._test.json``, which has no answers. A question names the
blocks that it rests on (``block_mapping``); the gold pages are those that have the blocks. ``page`` of a document is
the page of the whole report, and no page here.

Verified on the example of a question and a layout that the authors' page prints, and against the loader of their next
work (Doc2SoarGraph): ``doc.uid``, ``questions``, ``block_mapping``, and a layout of one to three ``pages`` with
``blocks`` of a ``uuid``. Unverified, as no whole file has been seen: that every block named is in the layout. Where
it is not, or there is no layout, the page of a document of one page is gold, and other questions are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_preprocess.datasets import Dataset
from data_preprocess.json_rows import json_rows
from data_preprocess.numbered_questions import NumberedQuestions, one_answer
from data_preprocess.parquet_rows import text_of
from data_preprocess.pdf_files import document_name, find_pdfs
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import VisualRow, document, split_of
from data_preprocess.written_pages import WrittenPages
from data_preprocess.zip_members import Member, UnreadableMemberError, members, read_member
from drag_rl.corpus.folder_listing import files_below, refusal
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem
from drag_rl.splits import Split

NAME = "tatdqa_dataset_"
GOLD = "_gold"
MAX_LAYOUT_BYTES = 256 << 20
FACTS = {"licence": "CC BY 4.0", "citation": "TAT-DQA: Zhu et al. 2022, arXiv 2207.11871"}


def read_tat_dqa(source: Path) -> Dataset:
    """The documents and questions. Raises ``InputError`` for a folder that holds none, or a damaged file."""
    files, pdfs, questions = _files(source), find_pdfs(source), VisualQuestions("tat-dqa")

    def ask(pages: WrittenPages) -> None:
        layouts = Layouts(source, questions.problems)
        asked = NumberedQuestions(questions, pdfs, pages.ids())
        for path, split in files:
            where = path.relative_to(source).as_posix()
            for number, entry in enumerate(json_rows(path, "data"), start=1):
                _ask(entry, f"{where} row {number}", split, asked, layouts)

    return questions.of_pdfs(pdfs, ask, FACTS)


class Layouts:
    """The page of each block of a document, from ``<uid>.json``."""

    def __init__(self, source: Path, problems: list[Problem]) -> None:
        """``problems`` are added to, for members of archives that must not be read, and for damaged layouts."""
        self._problems = problems
        self._found: dict[str, Path | Member] = {}
        for file in sorted(files_below(source, (".json",), [])):
            if refusal(source, file) is None:
                self._found.setdefault(_layout_name(file), source / file)
        for file in sorted(files_below(source, (".zip",), [])):
            for member in members(source / file, (".json",), problems):
                self._found.setdefault(_layout_name(member.name), member)
        self.pages = lru_cache(maxsize=1)(self._pages)  # a document's questions follow one another

    def _pages(self, doc_id: str) -> Mapping[str, int]:
        """Block -> number of its page, from 1; none where there is no layout."""
        place = self._found.get(doc_id)
        if place is None:
            return {}
        try:
            if isinstance(place, Member):
                data = read_member(place, MAX_LAYOUT_BYTES)
            elif place.stat().st_size <= MAX_LAYOUT_BYTES:
                data = place.read_bytes()
            else:
                raise UnreadableMemberError("is too large")
            pages = json.loads(data)["pages"]
            return {
                str(block["uuid"]): number
                for number, page in enumerate(pages, start=1)
                for block in page["blocks"]
            }
        except (OSError, UnreadableMemberError, ValueError, LookupError, TypeError, RecursionError) as error:
            reason = f"the layout cannot be read ({type(error).__name__}: {error})"
            self._problems.append(Problem(where=f"{doc_id[:100]}.json", reason=reason[:300]))
            return {}


def _ask(
    entry: Mapping[str, Any], where: str, split: Split, asked: NumberedQuestions, layouts: Layouts
) -> None:
    """Take the questions of a document."""
    told, listed = entry.get("doc"), entry.get("questions")
    uid = document(told.get("uid")) if isinstance(told, dict) else ""
    if not isinstance(listed, list):
        why = 'has no list of questions: {"doc": {"uid": ...}, "questions": [...]}'
        asked.questions.drop(VisualRow(where, split, dict(entry)), "rows_that_are_wrong", why)
        return
    for place, cells in enumerate(listed, start=1):
        cells = cells if isinstance(cells, dict) else {}
        row = VisualRow(f"{where} question {place}", split, cells)
        blocks = layouts.pages(uid) if asked.pages_of(uid) else {}
        numbers = sorted({blocks[block] for block in _blocks(cells.get("block_mapping")) if block in blocks})
        if not numbers and asked.pages_of(uid) == 1:
            numbers = [1]
        asked.add(row, uid, numbers, question_id=cells.get("uid"), answers=scaled_answer(cells))


def _blocks(mapping: object) -> Iterator[str]:
    """The blocks of ``[{uuid: [start, end]}, ...]``, or of one such object."""
    for one in mapping if isinstance(mapping, list) else [mapping]:
        if isinstance(one, dict):
            yield from one


def scaled_answer(cells: Mapping[str, Any]) -> list[str]:
    """The answer with its scale, which belongs to it: a list is one answer in parts.

    >>> scaled_answer({"answer": 2.5, "scale": "million"}), scaled_answer({"answer": ["4", "5"], "scale": "percent"})
    (['2.5 million'], ['4%, 5%'])
    """
    answer, scale = cells.get("answer"), text_of(cells.get("scale"))
    scale = "" if scale.casefold() == "none" else scale  # the authors' page calls it so
    texts = [text_of(one) for one in answer] if isinstance(answer, list) else [text_of(answer)]
    unit = "%" if scale == "percent" else f" {scale}" if scale else ""
    return one_answer([text if not text or text.endswith(unit) else f"{text}{unit}" for text in texts])


def _layout_name(path: str) -> str:
    return document_name(path).removesuffix(".json")


def _files(source: Path) -> list[tuple[Path, Split]]:
    paths = sorted(source.rglob(f"{NAME}*.json")) if source.is_dir() else []
    gold = {path.name.replace(f"{GOLD}.json", ".json") for path in paths if path.stem.endswith(GOLD)}
    found = [(path, split) for path in paths if path.name not in gold and (split := split_of(path))]
    if not found:
        raise InputError(f"--source {source}: holds no {NAME}train.json, nor that of another split")
    return found
