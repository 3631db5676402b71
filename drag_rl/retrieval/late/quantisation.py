"""The two short forms of vectors: bfloat16, which keeps what ranks pages, and one bit a number, for a first look.

Shape letters: V vectors, T vectors of a query, E numbers of a vector, W words of 64 bits, B planes of bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.late.embedder import Vectors

QUERY_BITS = 6
"""Bits of a query's number where a page's has one: with so many the rounding is less than a hundredth of a score."""

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planes:
    """Query vectors as whole multiples of a step, in bits, as ``kernels.asymmetric`` reads them (RaBitQ's way)."""

    bits: Bits
    """Bit b of each number's multiple, in two's complement; shape (T, B, W)."""
    steps: Vectors
    """The step of each vector, shape (T,)."""
    sums: npt.NDArray[np.int64]
    """The sum of its multiples, shape (T,)."""


def bit_planes(query_TE: Vectors) -> Planes:
    """Query vectors in ``QUERY_BITS`` bits a number, steps chosen by each vector's largest number."""
    most = (1 << (QUERY_BITS - 1)) - 1
    steps_T = np.maximum(np.abs(query_TE).max(axis=1), np.float32(1e-12)) / np.float32(most)
    multiples_TE = np.rint(query_TE / steps_T[:, None]).astype(np.int64)
    planes = [sign_bits(np.where(multiples_TE >> plane & 1, 1.0, -1.0)) for plane in range(QUERY_BITS)]
    return Planes(bits=np.stack(planes, axis=1), steps=steps_T, sums=multiples_TE.sum(axis=1))
