"""Near duplicates among many long texts, in little memory: MinHash with banding.

A text is the set of its *shingles*, three consecutive words each. Its sketch has, for each of 128 hash functions, the
least hash of a shingle; two sets have the same one with a chance that is their Jaccard similarity (Broder, 1997, *On
the Resemblance and Containment of Documents*). So the share of equal entries estimates it, with a standard deviation of
.035 at .8. Texts are compared only if all entries of one of 16 bands are equal, which finds 95 % of those at .8, 99.9 %
at .9 and 6 % at .5 (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, chapter 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from drag_rl.near_duplicates import NEAR_DUPLICATE
from drag_rl.words import has_other_scripts, words

SHINGLE_WORDS = 3
HASHES, BANDS = 128, 16
MAX_COMPARED = 50
"""Texts of a band that one is compared with, at most: of thousands of copies a few are enough."""
BATCH_SHINGLES = 4096
_DRAW = np.random.default_rng(0)
_FACTORS_H1 = _DRAW.integers(0, 2**63, (HASHES, 1), np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS_H1 = _DRAW.integers(0, 2**63, (HASHES, 1), np.uint64)


class Sketches:
    """The sketches of texts, in the order in which they were added: some 600 bytes each."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.uint16]] = []
        self._bands: list[NDArray[np.uint32]] = []

    def __len__(self) -> int:
        """The number of texts."""
        return len(self._rows)

    def add(self, text: str) -> None:
        """Sketch a text and keep that."""
        least_H = sketch(text)
        self._rows.append((least_H & np.uint32(0xFFFF)).astype(np.uint16))
        of_band = least_H.reshape(BANDS, -1)
        self._bands.append(np.array([crc32(band.tobytes()) for band in of_band], np.uint32))

    def near(self, may_be: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
        """Pairs ``(earlier, later)`` of near duplicates for which ``may_be`` is true; for each later text, one at most.

        Texts are compared with :data:`MAX_COMPARED` earlier ones of each band.
        """
        found: dict[int, int] = {}
        for band in range(BANDS):
            keys = np.array([own[band] for own in self._bands], np.uint32)
            order = np.argsort(keys, kind="stable")
            starts = np.flatnonzero(np.diff(keys[order])) + 1
            for group in np.split(order, starts):
                for place, later in enumerate(map(int, group)):
                    if later in found:
                        continue
                    for earlier in map(int, group[max(0, place - MAX_COMPARED) : place]):
                        if may_be(earlier, later) and self.similarity(earlier, later) >= NEAR_DUPLICATE:
                            found[later] = earlier
                            break
        return ((found[later], later) for later in sorted(found))

    def similarity(self, one: int, other: int) -> float:
        """The estimated Jaccard similarity of two texts, 0 to 1."""
        return float(np.mean(self._rows[one] == self._rows[other]))


def sketch(text: str) -> NDArray[np.uint32]:
    """The least hash of the text's shingles, by each of :data:`HASHES` functions; shape (H,)."""
    hashes = np.array(sorted({crc32(one.encode()) for one in shingles(text)}), np.uint64)
    least_H = np.full(HASHES, 2**32 - 1, np.uint32)
    for start in range(0, len(hashes), BATCH_SHINGLES):
        hashes_HS = _FACTORS_H1 * hashes[start : start + BATCH_SHINGLES] + _OFFSETS_H1  # modulo 2^64
        least_H = np.minimum(least_H, (hashes_HS >> np.uint64(32)).astype(np.uint32).min(axis=1))
    return least_H


def shingles(text: str) -> set[str]:
    """Three consecutive words each; a shorter text is one.

    >>> sorted(shingles("The rotor turns, the rotor turns."))
    ['rotor turns the', 'the rotor turns', 'turns the rotor']
    """
    folded = text.casefold()
    own = [word for _, word in words(folded)] if has_other_scripts(text) else re.findall(r"\w+", folded)
    return {" ".join(own[at : at + SHINGLE_WORDS]) for at in range(max(1, len(own) - SHINGLE_WORDS + 1))}
