"""A faiss index that another program made, and its mapping of vectors to documents."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drag_rl.errors import InputError
from drag_rl.files.plain_pickle import read_plain_pickle
from drag_rl.retrieval.dense.embedder import Embedder
from drag_rl.retrieval.dense.faiss_index import FAISS_FILE, FaissIndex
from drag_rl.retrieval.dense.passages import PASSAGES, Passages, embedded_text
from drag_rl.retrieval.page_texts import PageTexts

TRIED = 8
"""So many pages are embedded and looked for, to see that the vectors are of the same model."""
NEAR = 100
"""One of them at least must be among so many nearest."""


def write_foreign(
    folder: Path, pages: PageTexts, embedder: Embedder, faiss_file: Path, mapping: Path
) -> None:
    """Take over a faiss index and the pages of its vectors into an index folder.

    Raises ``InputError`` if the mapping is not of these pages, or the vectors are not of this model.
    """
    shutil.copyfile(faiss_file, folder / FAISS_FILE)
    index = FaissIndex(folder / FAISS_FILE)
    rows = _rows(_documents(read_plain_pickle(mapping), len(index), mapping), pages, mapping)
    order = np.argsort(rows, kind="stable").astype(np.int32)
    nothing = np.zeros(len(rows), np.int32)
    passages = Passages(pages=rows[order], begins=nothing, ends=nothing, vectors=order)
    with (folder / PASSAGES).open("wb") as file:
        passages.write(file)
    _check_model(index, passages, pages, embedder, faiss_file)


def _documents(found: Any, count: int, path: Path) -> list[str]:
    """The document of each vector: from a list, from number -> document, or from document -> number."""
    if isinstance(found, Mapping):
        if len(found) == count and all(number in found for number in range(count)):
            found = [found[number] for number in range(count)]
        else:
            numbers = [value for value in found.values() if isinstance(value, int)]
            if len(numbers) != len(found) or sorted(numbers) != list(range(count)):
                raise InputError(
                    f"--id-mapping {path}: does not map each of the {count} vectors, numbered from 0, to a document"
                )
            found = [document for document, _ in sorted(found.items(), key=lambda item: item[1])]
    if not isinstance(found, list | tuple) or len(found) != count:
        what = f"{len(found)} documents" if isinstance(found, list | tuple) else f"a {type(found).__name__}"
        raise InputError(
            f"--id-mapping {path}: holds {what}, and --faiss-file {count} vectors; are they of one run?"
        )
    wrong = next((one for one in found if isinstance(one, bool) or not isinstance(one, str | int)), None)
    if wrong is not None:
        raise InputError(f"--id-mapping {path}: {str(wrong)[:80]!r} is no id of a document")
    return list(map(str, found))


def _rows(documents: list[str], pages: PageTexts, path: Path) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The page of each vector: the one of this id, or the only one of the document of this name."""
    rows = np.empty(len(documents), np.int32)
    for number, document in enumerate(documents):
        row = pages.page_ids.row(document)
        if row is None:
            of_document = pages.page_ids.rows_of(document)
            if len(of_document) != 1:
                how = "is not among the pages" if not len(of_document) else "has several pages"
                raise InputError(
                    f"--id-mapping {path}: document {document!r} of vector {number} {how}; give the --pages that the "
                    "vectors were made from"
                )
            row = int(of_document[0])
        rows[number] = row
    return rows


def _check_model(
    index: FaissIndex, passages: Passages, pages: PageTexts, embedder: Embedder, faiss_file: Path
) -> None:
    places = np.unique(np.linspace(0, len(passages.pages) - 1, TRIED).astype(np.int64))
    rows = [row for row in passages.pages[places] if embedded_text(pages, int(row))]
    if not rows:
        raise InputError("no page has a word; are these the --pages that the vectors were made from?")
    vectors_NE = embedder.embed([embedded_text(pages, int(row)) for row in rows], "page")
    if vectors_NE.shape[1] != index.width:
        raise InputError(
            f"--faiss-file {faiss_file}: has vectors of {index.width} numbers, and --model makes "
            f"{vectors_NE.shape[1]}; give the model that made them"
        )
    row_of_vector = np.empty(len(index), np.int32)
    row_of_vector[passages.vectors] = passages.pages
    _, found = index.nearest(vectors_NE, NEAR)
    if not any(row in row_of_vector[near[near >= 0]] for row, near in zip(rows, found, strict=True)):
        raise InputError(
            f"--faiss-file {faiss_file}: none of {len(rows)} pages is among the {NEAR} vectors nearest to it, as "
            "--model embeds it; give the model and the --pages that it was made with"
        )
