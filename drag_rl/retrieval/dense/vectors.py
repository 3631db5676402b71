"""The vectors of all passages: made piece by piece, so that a build that is killed goes on where it was.

Shape letters: V vectors, E numbers of a vector, P passages, D pages.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined
from drag_rl.files.manifest import atomic_write, sha256_file
from drag_rl.retrieval.build_progress import present_progress
from drag_rl.retrieval.dense.embedder import Embedder, Vectors
from drag_rl.retrieval.dense.passages import PASSAGES, Numbers, Passages, cut_pages
from drag_rl.retrieval.page_ids import TEXTS
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.unfinished import MADE_FROM, index_beside, linked, unfinished

VECTORS = "vectors.npy"
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
    cut in the same way; and what a killed build has left there, see ``drag_rl.retrieval.unfinished``.
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
    if (same := index_beside(folder, made_from)) is not None:
        for name in (PASSAGES, VECTORS):
            linked(same / name, folder / name)
        return
    with unfinished(folder, made_from) as pieces:
        if not (pieces / PASSAGES).is_file():
            with atomic_write(pieces / PASSAGES, "wb") as file:
                cut_pages(pages, lambda text: embedder.cuts(text, passage_tokens)).write(file)
        shutil.copyfile(pieces / PASSAGES, folder / PASSAGES)
        passages = Passages.load(folder / PASSAGES)
        if not len(passages.pages):
            raise InputError("no page has a word to embed; do the PDFs need drag ingest --ocr force?")
        made = _pieces(pieces, passages, pages, embedder, number, known)
        _join(made, folder / VECTORS, len(passages.first_of_each), number)


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
