"""The terms of pages and their ids, looked up where they lie: nothing is held in Python for each term."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from drag_rl.retrieval.mapped import mapped_batches

TERMS_KEPT = 1 << 14
"""The ids of so many terms, those asked for last, are kept at hand."""
_READ_AT_ONCE = 4096


class Vocabulary(Mapping[str, int]):
    """Term -> its id: its place, 0-based, in the order of the terms' UTF-8 bytes; safe to share between threads.

    >>> vocabulary = Vocabulary.of(["save", "fox", "größe"])
    >>> dict(vocabulary), vocabulary.get("foxes")
    ({'fox': 0, 'größe': 1, 'save': 2}, None)
    """

    def __init__(self, terms: pa.Array) -> None:
        """``terms`` are different from each other and sorted by their UTF-8 bytes; see :meth:`of` and :meth:`open`."""
        self.terms = terms
        self._found = lru_cache(TERMS_KEPT)(self._bisected)

    @classmethod
    def of(cls, terms: Sequence[str]) -> Vocabulary:
        """The vocabulary of different terms in whatever order."""
        return cls(pa.array(sorted(terms), pa.large_string()))

    @classmethod
    def open(cls, path: Path) -> Vocabulary:
        """What :meth:`save` wrote, memory-mapped."""
        return cls(mapped_batches(path)[0].column("term"))

    def save(self, path: Path) -> None:
        """Write an Arrow file of one column, ``term``; the same terms give the same bytes."""
        batch = pa.record_batch([self.terms], names=["term"])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)

    def __getitem__(self, term: str) -> int:
        term_id = self._found(term)
        if term_id is None:
            raise KeyError(term)
        return term_id

    def get(self, term: str, default: Any = None) -> Any:
        """The id of a term, or ``default``; what a mapping has of itself takes three times as long."""
        term_id = self._found(term)
        return default if term_id is None else term_id

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self.terms), _READ_AT_ONCE):
            yield from self.terms.slice(begin, _READ_AT_ONCE).to_pylist()

    def __len__(self) -> int:
        return len(self.terms)

    def _bisected(self, term: str) -> int | None:
        """Python's order of texts, by code points, is that of their UTF-8 bytes."""
        place = bisect_left(self.terms, term, key=methodcaller("as_py"))
        return place if place < len(self.terms) and self.terms[place].as_py() == term else None


def merged(vocabularies: Sequence[Vocabulary]) -> tuple[Vocabulary, list[npt.NDArray[np.int32]]]:
    """The terms of some vocabularies, and for each of these the new ids of its terms, in their order.

    >>> everything, ids = merged([Vocabulary.of(["fox", "save"]), Vocabulary.of(["graph", "save"])])
    >>> list(everything), [of_one.tolist() for of_one in ids]
    (['fox', 'graph', 'save'], [[0, 2], [1, 2]])
    """
    ends = list(accumulate(map(len, vocabularies)))
    if not ends or not ends[-1]:
        return Vocabulary.of([]), [np.empty(0, dtype=np.int32) for _ in vocabularies]
    every = pa.chunked_array([vocabulary.terms for vocabulary in vocabularies], pa.large_string())
    encoded = every.dictionary_encode().unify_dictionaries()
    terms = encoded.chunk(0).dictionary
    order = pc.sort_indices(terms)
    new_ids = np.empty(len(terms), dtype=np.int32)
    new_ids[order.to_numpy()] = np.arange(len(terms), dtype=np.int32)
    found = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    return Vocabulary(terms.take(order)), np.split(new_ids[found], ends[:-1])
