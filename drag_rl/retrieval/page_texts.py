"""The page texts of an index and where their terms stand, memory-mapped: nothing is held as Python lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from drag_rl.retrieval.tokenizer import Tokenizer

TEXTS = "texts.arrow"
TERM_IDS = "term_ids.npy"
TERM_STARTS = "term_starts.npy"
PAGE_STARTS = "page_starts.npy"


def write_texts(
    folder: Path, pages: Iterable[tuple[str, str]], tokenizer: Tokenizer
) -> tuple[list[Sequence[int]], dict[str, int]]:
    """Write ``(page_id, text)`` pairs and their terms; returns the term ids of each page and term -> id.

    Ids are given in order of first sight, so the same pages give the same files.
    """
    vocabulary: dict[str, int] = {}
    ids: list[str] = []
    texts: list[str] = []
    page_terms: list[Sequence[int]] = []
    term_starts: list[npt.NDArray[np.int32]] = []
    for page_id, text in pages:
        spans = list(tokenizer.spans(text))
        page_terms.append([vocabulary.setdefault(term, len(vocabulary)) for _, _, term in spans])
        term_starts.append(np.array([start for start, _, _ in spans], dtype=np.int32))
        ids.append(page_id)
        texts.append(text)
    lengths = np.array([len(terms) for terms in page_terms], dtype=np.int64)
    np.save(folder / PAGE_STARTS, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    np.save(folder / TERM_STARTS, np.concatenate([*term_starts, np.empty(0, dtype=np.int32)]))
    np.save(folder / TERM_IDS, np.fromiter(chain.from_iterable(page_terms), np.int32))
    table = pa.record_batch(
        [pa.array(ids, pa.large_string()), pa.array(texts, pa.large_string())], names=["page_id", "text"]
    )
    with pa.OSFile(str(folder / TEXTS), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_batch(table)
    return page_terms, vocabulary


class TextStore:
    """Page texts by position (0-based, in index order); reads only, safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        with pa.ipc.open_file(pa.memory_map(str(folder / TEXTS))) as reader:
            batch = reader.get_batch(0)
        self.page_ids: tuple[str, ...] = tuple(map(str, batch.column("page_id").to_pylist()))
        self._texts = batch.column("text")
        self._page_starts = np.asarray(np.load(folder / PAGE_STARTS, mmap_mode="r"))
        self._term_ids = np.asarray(np.load(folder / TERM_IDS, mmap_mode="r"))
        self._term_starts = np.asarray(np.load(folder / TERM_STARTS, mmap_mode="r"))

    def text(self, row: int) -> str:
        """The text of one page."""
        return str(self._texts[row].as_py())

    def matches(self, row: int, term_ids: npt.NDArray[np.int32]) -> tuple[list[int], list[int]]:
        """Where the given terms stand on one page: character offsets, rising, and the term id at each."""
        begin, end = self._page_starts[row], self._page_starts[row + 1]
        page_terms = self._term_ids[begin:end]
        where = np.flatnonzero(np.isin(page_terms, term_ids))
        return self._term_starts[begin:end][where].tolist(), page_terms[where].tolist()
