"""The two short forms of vectors: bfloat16, which keeps what ranks pages, and one bit a number, for a first look.

Shape letters: V vectors, E numbers of a vector, W words of 64 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.late.embedder import Vectors

Halves = npt.NDArray[np.uint16]
"""Numbers in bfloat16, by their 16 bits: the upper half of a float32. numpy has no type for them."""
Bits = npt.NDArray[np.uint64]


def to_bfloat16(vectors_VE: Vectors) -> Halves:
    """Finite numbers rounded to bfloat16, to even where two are equally near, as torch rounds.

    >>> from_bfloat16(to_bfloat16(np.array([1.0, 1 / 3, -2.0], dtype=np.float32))).tolist()
    [1.0, 0.333984375, -2.0]
    """
    words = np.ascontiguousarray(vectors_VE, dtype=np.float32).view(np.uint32)
    rounded = words + (np.uint32(0x7FFF) + ((words >> np.uint32(16)) & np.uint32(1)))
    halves: Halves = (rounded >> np.uint32(16)).astype(np.uint16)
    return halves


def from_bfloat16(halves: Halves) -> Vectors:
    """The same numbers as float32."""
    whole: Vectors = (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return whole


def words_of(width: int) -> int:
    """How many words of 64 bits hold a bit for each of so many numbers."""
    return -(-width // 64)


def sign_bits(numbers_VE: npt.NDArray[Any]) -> Bits:
    """A bit for each number of float32 vectors, or of vectors in bfloat16: 1 unless it is negative; shape (V, W).

    Number e is bit ``e % 64`` of word ``e // 64``; what is left over is 0.

    >>> [bin(word) for word in sign_bits(np.array([[0.5, -0.5, 0.25]], dtype=np.float32))[0]]
    ['0b101']
    """
    of_halves = numbers_VE.dtype == np.uint16
    positive_VE = numbers_VE < np.uint16(0x8000) if of_halves else ~np.signbit(numbers_VE)
    count, width = positive_VE.shape
    padded = np.zeros((count, words_of(width) * 64), dtype=np.bool_)
    padded[:, :width] = positive_VE
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64, copy=False)
