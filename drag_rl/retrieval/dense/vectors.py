"""The vectors of all passages: made piece by piece, so that a build that is killed goes on where it was.

Shape letters: V vectors, E numbers of a vector, P passages, D pages.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import hexdigits
from typing import Literal

import numpy as np
import numpy.typing as npt

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined
from drag_rl.files.manifest import atomic_write, sha256_file
from drag_rl.retrieval.build_progress import present_progress
from drag_rl.retrieval.dense.embedder import Embedder, Vectors
from drag_rl.retrieval.dense.passages import PASSAGES, Numbers, Passages, cut_pages
from drag_rl.retrieval.index_folder import verify_files
from drag_rl.retrieval.page_ids import TEXTS
from drag_rl.retrieval.page_texts import PageTexts

VECTORS = "vectors.npy"
MADE_FROM = "vectors.made_from"
"""A digest of the pages, the model and the way of cutting that the vectors were made with."""
PIECE = 1024
"""Passages that are embedded between two saves."""
Number = Literal["float32", "float16"]
"""How a number of a vector is stored."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """Vectors of an earlier index of the same model and passages."""

    passages: Passages
    vectors: npt.NDArray[np.floating]
    rows: npt.NDArray[np.int64]
    """Where each page of the new index stands in the earlier one with the same text, -1 for one that does not (D,)."""

    def places(self, passages: Passages) -> Numbers:
        """For each vector of the new index, its place among the known ones, -1 for one that is not known (V,)."""
        firsts = passages.first_of_each
        pages = passages.pages[firsts]
        earlier = self.rows[pages]
        nth = firsts - np.searchsorted(passages.pages, pages)
        at = np.searchsorted(self.passages.pages, earlier) + nth
        places = self.passages.vectors[np.minimum(at, len(self.passages.pages) - 1)]
        return np.where(earlier >= 0, places, -1).astype(np.int32)


def write_vectors(
    folder: Path,
    pages: PageTexts,
    embedder: Embedder,
    *,
    passage_tokens: int,
    number: Number,
    known: Known | None = None,
) -> None:
    """Write the passages and vectors of pages into an index folder.

    What there is of them is used: those of an index beside it that was made from the same pages, by the same model,
    cut in the same way; and what a killed build has left in a hidden folder there, which :func:`forget_pieces` removes.
    Raises ``InputError`` if no page has a word.
    """
    made_from = combined(
        {
            "pages": sha256_file(folder / TEXTS),
            "model": embedder.fingerprint,
            "settings": f"{passage_tokens} {number} {PIECE}",
        }
    )
    (folder / MADE_FROM).write_text(made_from, encoding="ascii")
    if (same := _index_beside(folder, made_from)) is not None:
        for name in (PASSAGES, VECTORS):
            _linked(same / name, folder / name)
        return
    with _one_at_a_time(_pieces_folder(folder.parent, made_from)) as pieces:
        if not (pieces / PASSAGES).is_file():
            with atomic_write(pieces / PASSAGES, "wb") as file:
                cut_pages(pages, lambda text: embedder.cuts(text, passage_tokens)).write(file)
        shutil.copyfile(pieces / PASSAGES, folder / PASSAGES)
        passages = Passages.load(folder / PASSAGES)
        if not len(passages.pages):
            raise InputError("no page has a word to embed; do the PDFs need drag ingest --ocr force?")
        made = _pieces(pieces, passages, pages, embedder, number, known)
        _join(made, folder / VECTORS, len(passages.first_of_each), number)


def forget_pieces(index_dir: Path) -> None:
    """Remove what :func:`write_vectors` kept for a build that might be killed: the index is in its place."""
    with suppress(FileNotFoundError):  # vectors of another program's index have none
        made_from = (index_dir / MADE_FROM).read_text(encoding="ascii")
        if not set(made_from) <= set(hexdigits):  # not ours, and what is removed is named by it
            return
        shutil.rmtree(_pieces_folder(index_dir.parent, made_from), ignore_errors=True)


def _pieces_folder(parent: Path, made_from: str) -> Path:
    return parent / f".drag-vectors-{made_from[:24]}"


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[Path]:
    """The folder, made if need be, while no other build works in it."""
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        folder.mkdir(exist_ok=True)  # the other has done its work and removed it
        yield folder
    finally:
        os.close(handle)


def _index_beside(folder: Path, made_from: str) -> Path | None:
    """An index beside ``folder`` that has the vectors which are to be made, whole."""
    for path in sorted(folder.parent.glob(f"*/{MADE_FROM}")):
        with suppress(InputError, OSError):
            if path.parent != folder and path.read_text(encoding="ascii") == made_from:
                verify_files(path.parent)
                return path.parent
    return None


def _linked(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the file system has no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _pieces(
    folder: Path,
    passages: Passages,
    pages: PageTexts,
    embedder: Embedder,
    number: Number,
    known: Known | None,
) -> list[Path]:
    """The files of all pieces, in order; those that are there are not made again."""
    firsts = passages.first_of_each
    places = known.places(passages) if known else np.full(len(firsts), -1, np.int32)
    made = []
    for begin in range(0, len(firsts), PIECE):
        some = slice(begin, begin + PIECE)
        made.append(folder / f"{begin:012}.npy")
        if not made[-1].is_file():
            vectors = _piece(passages, firsts[some], places[some], pages, embedder, known)
            with atomic_write(made[-1], "wb") as file:
                np.save(file, vectors.astype(number))
        present_progress().at("embedding", int(passages.pages[firsts[some][-1]]) + 1, len(pages))
    return made


def _piece(
    passages: Passages,
    firsts: Numbers,
    places: Numbers,
    pages: PageTexts,
    embedder: Embedder,
    known: Known | None,
) -> Vectors:
    """The vectors of some passages, those that are known taken over."""
    new = places < 0
    texts = [*passages.texts(pages, firsts[new])]
    embedded = embedder.embed(texts, "page") if texts else None
    if known is None:
        assert embedded is not None
        return embedded
    vectors = np.empty((len(firsts), known.vectors.shape[1]), np.float32)
    vectors[~new] = known.vectors[places[~new]]
    if embedded is not None:
        vectors[new] = embedded
    return vectors


def _join(pieces: list[Path], path: Path, count: int, number: Number) -> None:
    width = np.load(pieces[0], mmap_mode="r").shape[1]
    joined = np.lib.format.open_memmap(path, "w+", dtype=number, shape=(count, width))  # type: ignore[no-untyped-call]
    begin = 0
    for piece in pieces:
        vectors = np.load(piece)
        joined[begin : begin + len(vectors)] = vectors
        begin += len(vectors)
    joined.flush()
