"""The ids of pages in page order, looked up where they lie: nothing is held in Python for each page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

TEXTS, PAGE_ORDER = "texts.arrow", "page_order.npy"
IDS_KEPT, DOCUMENTS_KEPT = 1 << 14, 1 << 8
"""The places of so many pages and documents, those asked for last, are kept at hand."""
_AFTER_DOCUMENT = "#?[^#]*$"


class PageIds(Sequence[str]):
    """Page ids, all different, as a tuple would hold them; safe to share between threads.

    >>> ids = PageIds.of(["b#2", "a#1", "b#1"])
    >>> ids[0], ids[1:], ids == ("b#2", "a#1", "b#1"), ids.row("b#1"), ids.row("c#1"), ids.rows_of("b").tolist()
    ('b#2', ('a#1', 'b#1'), True, 2, None, [0, 2])
    """

    def __init__(self, ids: pa.ChunkedArray, order: npt.NDArray[np.int32]) -> None:
        """``order`` is :func:`order_of` the ids (D,)."""
        self._ids = ids
        self._order = order
        self._row = lru_cache(IDS_KEPT)(self._bisected)
        self._rows_of = lru_cache(DOCUMENTS_KEPT)(self._between)

    @classmethod
    def of(cls, ids: Sequence[str]) -> PageIds:
        """These ids, held in memory."""
        held = pa.chunked_array([pa.array(list(ids), pa.large_string())])
        return cls(held, order_of(held))

    @property
    def column(self) -> pa.ChunkedArray:
        """The ids as Arrow holds them."""
        return self._ids

    def row(self, page_id: object) -> int | None:
        """The place of a page, 0-based; None if it is not there."""
        return self._row(page_id) if isinstance(page_id, str) else None

    def rows_of(self, document: str) -> npt.NDArray[np.int64]:
        """The places of a document's pages, rising; those of pages without a ``#`` are of the document ``""``."""
        return self._rows_of(document)

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(self[row] for row in range(*place.indices(len(self))))
        return str(self._ids[int(place)].as_py())

    def __iter__(self) -> Iterator[str]:
        for chunk in self._ids.iterchunks():
            yield from chunk.to_pylist()

    def __contains__(self, page_id: object) -> bool:
        return self.row(page_id) is not None

    def index(self, page_id: Any, start: int = 0, stop: int | None = None) -> int:
        """As of a tuple."""
        row = self.row(page_id)
        if row is None or row not in range(*slice(start, stop).indices(len(self))):
            raise ValueError(f"{page_id!r} is not in the sequence")
        return row

    def count(self, page_id: Any) -> int:
        """As of a tuple."""
        return int(page_id in self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PageIds):
            return bool(self._ids.equals(other._ids))
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"<{len(self)} page ids>"

    def _key(self, place: int) -> tuple[str, str]:
        page_id = self._ids[int(self._order[place])].as_py()
        return _document(page_id), page_id

    def _bisected(self, page_id: str) -> int | None:
        """Python's order of texts, by code points, is that of their UTF-8 bytes."""
        wanted = _document(page_id), page_id
        place = bisect_left(range(len(self)), wanted, key=self._key)
        return int(self._order[place]) if place < len(self) and self._key(place) == wanted else None

    def _between(self, document: str) -> npt.NDArray[np.int64]:
        places = range(len(self))
        begin = bisect_left(places, document, key=lambda place: self._key(place)[0])
        end = bisect_right(places, document, lo=begin, key=lambda place: self._key(place)[0])
        rows = np.sort(self._order[begin:end]).astype(np.int64)
        rows.flags.writeable = False
        return rows


def order_of(ids: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """The places of page ids, sorted by their documents and then by themselves, as UTF-8 bytes (D,)."""
    table = pa.table({"document": documents_of(ids), "page_id": ids})
    keys = [("document", "ascending"), ("page_id", "ascending")]
    order: npt.NDArray[np.int32] = np.asarray(pc.sort_indices(table, sort_keys=keys)).astype(np.int32)
    return order


def documents_of(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """The document of each page: what is before the last ``#``."""
    return pc.replace_substring_regex(ids, _AFTER_DOCUMENT, "")


def _document(page_id: str) -> str:
    return page_id.rpartition("#")[0]
