"""The vectors of a late index on disk: memory-mapped, for any number of readers, without a lock.

``image_vectors.npy`` has all vectors in bfloat16, page after page, ``image_starts.npy`` where each page's begin, and
``image_bits.npy`` a bit for each number, which is a thirty-second of float32. Opening takes the same time however many
pages there are.

Shape letters: D pages, V vectors of all pages, E numbers of a vector, W words of 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import Vectors
from drag_rl.retrieval.late.quantisation import Bits, Halves, from_bfloat16, sign_bits, words_of
from drag_rl.retrieval.mapped import mapped_array

VECTORS, STARTS, BITS = "image_vectors.npy", "image_starts.npy", "image_bits.npy"
VECTORS_AT_ONCE = 1 << 16

Starts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Store:
    """What a model saw of each page; reads only."""

    vectors: Halves
    """In bfloat16, shape (V, E)."""
    starts: Starts
    """Page d has the vectors ``starts[d]:starts[d + 1]``, none if it has no image; shape (D + 1,)."""
    bits: Bits | None
    """Their signs, shape (V, W); None in an index without them."""

    @classmethod
    def open(cls, folder: Path, pages: int) -> Store:
        """The store of an index folder of so many pages. Raises ``InputError`` for files that do not fit together."""
        vectors, starts = mapped_array(folder / VECTORS), mapped_array(folder / STARTS)
        bits = mapped_array(folder / BITS) if (folder / BITS).is_file() else None
        whole = (
            vectors.dtype == np.uint16
            and starts.dtype == np.int64
            and vectors.ndim == 2
            and starts.shape == (pages + 1,)
            and (int(starts[0]), int(starts[-1])) == (0, len(vectors))
            and (bits is None or bits.shape == (len(vectors), words_of(vectors.shape[1])))
        )
        if not whole:
            raise InputError(f"{folder}: its vectors do not fit its pages; run drag index again")
        return cls(vectors=vectors, starts=starts, bits=bits)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def width(self) -> int:
        """Numbers of a vector, E."""
        return int(self.vectors.shape[1])

    def of_page(self, row: int) -> Vectors:
        """The vectors of a page as float32."""
        return from_bfloat16(self.vectors[self.starts[row] : self.starts[row + 1]])


def write_store(
    folder: Path, counts_D: npt.NDArray[np.int64], parts: Iterable[Halves], width: int, *, binary: bool
) -> None:
    """Write a store from how many vectors each page has and those of all pages, in order, in parts of any size."""
    starts = np.concatenate([[0], np.cumsum(counts_D)]).astype(np.int64)
    np.save(folder / STARTS, starts)
    shape, begin = (int(starts[-1]), width), 0
    vectors = np.lib.format.open_memmap(folder / VECTORS, "w+", np.uint16, shape)  # type: ignore[no-untyped-call]
    for part in parts:
        vectors[begin : begin + len(part)] = part
        begin += len(part)
    vectors.flush()
    if begin != shape[0]:
        raise ValueError(f"there are {begin} vectors, and the pages have {shape[0]}")
    if binary:
        words = (shape[0], words_of(width))
        bits = np.lib.format.open_memmap(folder / BITS, "w+", np.uint64, words)  # type: ignore[no-untyped-call]
        for first in range(0, shape[0], VECTORS_AT_ONCE):
            some = slice(first, first + VECTORS_AT_ONCE)
            bits[some] = sign_bits(vectors[some])
        bits.flush()
