"""Clusters of a few pages by their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from drag_rl.words import words

ROUNDS = 20
"""Rounds of k-means, at most."""
Vectors = npt.NDArray[np.float64]


def clusters(texts: Sequence[str], number: int) -> list[list[int]]:
    """At most so many groups of texts, as places, each in order; together they hold every place once.

    Spherical k-means over tf-idf vectors (D texts, V words). The first centre is the first text, each further one the
    text that is least like all centres so far, so that equal texts give equal clusters. No texts give no group.

    >>> clusters(["pump seal", "rotor blade", "seal of the pump", "blade of a rotor"], 2)
    [[0, 2], [1, 3]]
    """
    if not texts:
        return []
    vectors_DV = _tf_idf(texts)
    chosen = [0]
    while len(chosen) < min(number, len(texts)):
        likeness_D = (vectors_DV @ vectors_DV[chosen].T).max(axis=1)
        likeness_D[chosen] = np.inf
        chosen.append(int(likeness_D.argmin()))
    centres_CV = vectors_DV[chosen]
    groups_D = np.full(len(texts), -1)
    for _ in range(ROUNDS):
        nearest_D = (vectors_DV @ centres_CV.T).argmax(axis=1)
        if (nearest_D == groups_D).all():
            break
        groups_D = nearest_D
        for group in set(groups_D.tolist()):
            centres_CV[group] = _unit(vectors_DV[groups_D == group].mean(axis=0, keepdims=True))[0]
    places = [[int(place) for place in np.flatnonzero(groups_D == group)] for group in range(len(chosen))]
    return sorted(group for group in places if group)


def _tf_idf(texts: Sequence[str]) -> Vectors:
    counts = [Counter(word.casefold() for _, word in words(text)) for text in texts]
    holding = Counter(word for count in counts for word in count)
    columns = {word: column for column, word in enumerate(sorted(holding))}
    vectors_DV = np.zeros((len(texts), max(1, len(columns))))
    for row, count in enumerate(counts):
        for word, times in count.items():
            vectors_DV[row, columns[word]] = (1 + np.log(times)) * np.log(1 + len(texts) / holding[word])
    return _unit(vectors_DV)


def _unit(vectors_NV: Vectors) -> Vectors:
    lengths_N = np.linalg.norm(vectors_NV, axis=1, keepdims=True)
    unit_NV: Vectors = vectors_NV / np.where(lengths_N > 0, lengths_N, 1.0)
    return unit_NV
