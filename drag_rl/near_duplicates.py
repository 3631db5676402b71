"""Questions in nearly the same words, found without comparing each with each.

This is prefix filtering (Bayardo, Ma and Srikant, 2007, *Scaling Up All Pairs Similarity Search*). Sort the words of
both sets in the same order. If the sets share enough words, they share one of their first few; with rare words first,
few sets share one by chance.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product

from drag_rl.words import has_other_scripts, words

NEAR_DUPLICATE = 0.8
"""Two questions are near duplicates if they share this much of their words (Jaccard)."""


class NearDuplicates:
    """Word sets that were seen, and whether another is a near duplicate of one of them."""

    def __init__(self, corpus: Iterable[frozenset[str]]) -> None:
        """``corpus`` has the sets to come, as a sample: it says which words are rare, which decides the speed alone."""
        self._counts = Counter(word for word_set in corpus for word in word_set)
        self._seen: dict[tuple[str, int], set[frozenset[str]]] = {}
        """Sets by each word of their prefix and by their size: near duplicates have nearly as many words."""

    def add(self, word_set: frozenset[str]) -> None:
        """Remember a set."""
        for word in self._prefix(word_set):
            self._seen.setdefault((word, len(word_set)), set()).add(word_set)

    def has_near(self, word_set: frozenset[str]) -> bool:
        """Whether a set that was added is a near duplicate of this one."""
        return any(is_near(word_set, other) for other in self.candidates(word_set))

    def candidates(self, word_set: frozenset[str]) -> Iterator[frozenset[str]]:
        """The sets that were added and may be near duplicates; all that are, and others; some of them repeatedly."""
        least = math.ceil(NEAR_DUPLICATE * len(word_set))
        sizes = range(least, math.floor(len(word_set) / NEAR_DUPLICATE) + 1)
        for word, size in product(self._prefix(word_set), sizes):
            yield from self._seen.get((word, size), ())

    def _prefix(self, word_set: frozenset[str]) -> list[str]:
        """The rarest words: so many that a near duplicate, which lacks few of the words, has one of them."""
        shared = math.ceil(NEAR_DUPLICATE * len(word_set))
        return sorted(word_set, key=lambda word: (self._counts[word], word))[: len(word_set) - shared + 1]


def is_near(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two sets share at least :data:`NEAR_DUPLICATE` of the words that either has."""
    shared = len(one & other)
    return shared >= NEAR_DUPLICATE * (len(one) + len(other) - shared)


def word_set(text: str) -> frozenset[str]:
    """The words of a question, lower-cased; the text itself if it has none.

    >>> sorted(word_set("How do I save it, and how?")), sorted(word_set("首都"))
    (['and', 'do', 'how', 'i', 'it', 'save'], ['都', '首', '首都'])
    """
    if has_other_scripts(text):
        return frozenset(word for _, word in words(text.casefold())) or frozenset([text])
    return frozenset(re.findall(r"\w+", text.casefold())) or frozenset([text])
