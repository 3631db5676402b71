"""The pages of a corpus of images: which document and page each row is, and its image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_preprocess.datasets import ImagePage
from data_preprocess.parquet_rows import image_of, parquet_rows, text_of
from data_preprocess.vidore_files import TableFile
from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row of the corpus goes."""

    doc_id: str
    number: int
    """1-based; 0 where the row does not say."""


class Corpus:
    """The rows of a corpus, without their images until they are asked for."""

    def __init__(self, files: Sequence[TableFile], problems: list[Problem]) -> None:
        """Read which pages there are; what is wrong with a row is added to ``problems``.

        The page numbers of a document count from 0 in ``page_number_in_doc``; without them, or where they are not all
        there once, its pages are numbered in the order of the rows. Without ``doc_id`` a page is a document of its own.
        """
        self._files = files
        self._problems = problems
        self._row_of: dict[str, tuple[TableFile, int]] = {}
        """Corpus id -> file and row of the image that is used."""
        places: dict[str, _Place] = {}
        for file in files:
            names = [file.needed("corpus_id", "id"), file.column("doc_id"), file.column("page_number_in_doc")]
            file.needed("image")
            for number, row in parquet_rows(file.path, [name for name in names if name]):
                corpus_id, doc_id, page = (text_of(row[name]) if name else "" for name in names)
                where = f"{file.where} row {number}"
                if not corpus_id:
                    problems.append(Problem(where=where, reason="has no corpus id"))
                elif corpus_id in places:
                    if _part(self._row_of[corpus_id][0]) == _part(file):
                        reason = f"corpus id {corpus_id!r} is there twice; the first row is used"
                        problems.append(Problem(where=where, reason=reason))
                else:
                    self._row_of[corpus_id] = (file, number)
                    places[corpus_id] = _Place(_document(doc_id or corpus_id), _page_number(page))
        self._places = _numbered(places, problems)

    def page_id(self, corpus_id: str) -> str | None:
        """The page that a judgement means; None if there is none."""
        place = self._places.get(corpus_id)
        return None if place is None else f"{place.doc_id}#{place.number}"

    def images(self) -> Iterator[ImagePage]:
        """The pages, one after another.

        Raises ``InputError`` where two languages, or splits, have different images under one id.
        """
        digests: dict[str, bytes] = {}
        for file in self._files:
            key, image_column = file.needed("corpus_id", "id"), file.needed("image")
            texts = [name for name in (file.column("markdown"), file.column("text")) if name]
            for number, row in parquet_rows(file.path, [key, image_column, *texts]):
                corpus_id, image = text_of(row[key]), image_of(row[image_column])
                data = b"" if isinstance(image, str) else image
                digest = hashlib.sha256(data).digest()
                used, used_row = self._row_of.get(corpus_id, (file, 0))
                if (used, used_row) != (file, number):
                    if _part(used) != _part(file) and digests.get(corpus_id, digest) != digest:
                        raise InputError(
                            f"{file.path} row {number}: {corpus_id!r} is another image than in {used.where}; "
                            "convert one language or split at a time, each from a folder of its own"
                        )
                    continue
                digests[corpus_id] = digest
                place = self._places[corpus_id]
                problem = image if isinstance(image, str) else ""
                if problem:
                    self._problems.append(Problem(where=f"{file.where} row {number}", reason=problem))
                yield ImagePage(
                    doc_id=place.doc_id,
                    page_number=place.number,
                    image=data,
                    text=next((text for name in texts if (text := text_of(row[name]))), ""),
                    problem=problem,
                )


def _part(file: TableFile) -> tuple[str, str]:
    """Files of one language and split have each page once."""
    return file.language, file.split


def _document(name: str) -> str:
    """A name as a document id, in one line of characters that can be shown."""
    clean = " ".join(clean_text(name).split())
    return "".join(character if character.isprintable() else "\ufffd" for character in clean)


def _page_number(page: str) -> int:
    return int(page) + 1 if page.isdecimal() and len(page) < 7 else 0


def _numbered(places: dict[str, _Place], problems: list[Problem]) -> dict[str, _Place]:
    """The same places, with the pages of each document numbered."""
    documents: dict[str, list[str]] = {}
    for corpus_id, place in places.items():
        documents.setdefault(place.doc_id, []).append(corpus_id)
    for doc_id, own in documents.items():
        numbers = {places[corpus_id].number for corpus_id in own}
        if 0 not in numbers and len(numbers) == len(own):
            continue
        if numbers != {0}:
            reason = "not every page has a number of its own; they are numbered in the order of their rows"
            problems.append(Problem(where=f"document {doc_id}", reason=reason))
        for number, corpus_id in enumerate(own, start=1):
            places[corpus_id] = _Place(doc_id, number)
    return places
