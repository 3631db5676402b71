"""The loops of a late-interaction search, compiled: they read the mapped store where it lies, without Python's lock.

The score of a page is MaxSim (Khattab & Zaharia, "ColBERT", 2020): each vector of the query takes the page's vector
that is most like it, and these similarities are added up. A page without a vector scores minus infinity. The score of a
page does not depend on which others are asked for.

Shape letters: T vectors of a query, E numbers of a vector, W words of 64 bits, V vectors of all pages, D pages, C pages
that are scored, B planes of bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from drag_rl.retrieval.compiled import compiled, compiled_reordering

Array = npt.NDArray[Any]
BLOCK = 64
"""Vectors of a page that are widened to float32 at a time: they stay in the first cache."""
STEP = 16
"""Numbers of a vector that are added up at a time."""


@intrinsic  # type: ignore[untyped-decorator]
def _ones(typing_context: Any, word: Any) -> Any:
    """How many bits of a word are 1: one instruction of the processor, on several words at a time where it can."""
    del typing_context, word

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@compiled
def hamming(
    query_TW: Array, bits_VW: Array, starts_D1: Array, width: int, rows_C: Array, scores_C: Array
) -> None:
    """MaxSim of signs: the similarity of two vectors is ``(E - 2 * different bits) / E``, in [-1, 1]."""
    words = bits_VW.shape[1]
    apart_WV = np.empty((words, _most(starts_D1, rows_C)), np.uint64)
    different_V = np.empty(apart_WV.shape[1], np.uint64)
    for place in range(len(rows_C)):
        page = bits_VW[starts_D1[rows_C[place]] : starts_D1[rows_C[place] + 1]]
        if len(page) == 0:
            scores_C[place] = -np.inf
            continue
        _set_apart(page, apart_WV)
        different = np.int64(0)
        for token in range(len(query_TW)):
            least = np.uint64(64 * words)
            if words == 2:  # the usual 128 numbers
                mine, yours = query_TW[token, 0], query_TW[token, 1]
                for vector in range(len(page)):
                    bits = _ones(mine ^ apart_WV[0, vector]) + _ones(yours ^ apart_WV[1, vector])
                    least = min(least, bits)
            else:
                different_V[:] = 0
                for word in range(words):
                    mine = query_TW[token, word]
                    for vector in range(len(page)):
                        different_V[vector] += _ones(mine ^ apart_WV[word, vector])
                for vector in range(len(page)):
                    least = min(least, different_V[vector])
            different += np.int64(least)
        scores_C[place] = len(query_TW) - 2.0 * different / width


@compiled
def asymmetric(
    planes_TBW: Array,
    steps_T: Array,
    sums_T: Array,
    bits_VW: Array,
    starts_D1: Array,
    rows_C: Array,
    scores_C: Array,
) -> None:
    """MaxSim of numbers with signs: the product of a query's vector and a page's, whose numbers are 1 or -1.

    The query's numbers are whole multiples of a step, in planes of bits of weight 1, 2, 4 ..., the last of which is
    negative; ``sums_T`` are the sums of these multiples. So the product is ``2 * sum(weight * ones) - sum``, in steps.
    """
    tokens, planes, words = planes_TBW.shape
    apart_WV = np.empty((words, _most(starts_D1, rows_C)), np.uint64)
    totals_V = np.empty(apart_WV.shape[1], np.int64)
    for place in range(len(rows_C)):
        page = bits_VW[starts_D1[rows_C[place]] : starts_D1[rows_C[place] + 1]]
        if len(page) == 0:
            scores_C[place] = -np.inf
            continue
        _set_apart(page, apart_WV)
        score = 0.0
        for token in range(tokens):
            totals_V[:] = 0
            _add_ones(planes_TBW[token, planes - 1], apart_WV, len(page), planes - 1, totals_V)
            for vector in range(len(page)):
                totals_V[vector] = -totals_V[vector]
            for plane in range(planes - 1):
                _add_ones(planes_TBW[token, plane], apart_WV, len(page), plane, totals_V)
            best = totals_V[0]
            for vector in range(len(page)):
                best = max(best, totals_V[vector])
            score += steps_T[token] * (2 * best - sums_T[token])
        scores_C[place] = score


@compiled
def _add_ones(mask_W: Array, apart_WV: Array, vectors: int, plane: int, totals_V: Array) -> None:
    """Add to each vector's total how many of its ones are in a mask, shifted to the place of a plane."""
    if len(mask_W) == 2:  # the usual 128 numbers
        first, second = mask_W[0], mask_W[1]
        for vector in range(vectors):
            bits = _ones(first & apart_WV[0, vector]) + _ones(second & apart_WV[1, vector])
            totals_V[vector] += np.int64(bits) << plane
        return
    for word in range(len(mask_W)):
        mask = mask_W[word]
        for vector in range(vectors):
            totals_V[vector] += np.int64(_ones(mask & apart_WV[word, vector])) << plane


@compiled
def _most(starts_D1: Array, rows_C: Array) -> int:
    """How many vectors the largest of some pages has."""
    most = 1
    for row in rows_C:
        most = max(most, starts_D1[row + 1] - starts_D1[row])
    return most


@compiled
def _set_apart(page_VW: Array, apart_WV: Array) -> None:
    """The first words of a page's vectors side by side, then their second ones ...: so the processor takes several."""
    for vector in range(len(page_VW)):
        for word in range(page_VW.shape[1]):
            apart_WV[word, vector] = page_VW[vector, word]


@compiled_reordering
def maxsim(query_TE: Array, vectors_VE: Array, starts_D1: Array, rows_C: Array, scores_C: Array) -> None:
    """MaxSim of query vectors with page vectors in bfloat16, in float32.

    Query vectors are filled up with zeros to a multiple of ``STEP`` numbers. Some page vectors at a time are widened
    and turned, so that a number of the query meets as many of theirs as the processor takes at once.
    """
    tokens, width = query_TE.shape
    words = np.zeros((width, BLOCK), np.uint32)
    block_EB = words.view(np.float32)
    sims_B = np.empty(BLOCK, np.float32)
    best_T = np.empty(tokens, np.float32)
    for place in range(len(rows_C)):
        page = vectors_VE[starts_D1[rows_C[place]] : starts_D1[rows_C[place] + 1]]
        best_T[:] = -np.inf
        for first in range(0, len(page), BLOCK):
            block = page[first : first + BLOCK]
            for number in range(BLOCK):
                vector = (
                    number if number < len(block) else 0
                )  # the first one again and again changes no maximum
                for e in range(page.shape[1]):
                    words[e, number] = np.uint32(block[vector, e]) << np.uint32(16)
            for token in range(tokens):
                sims_B[:] = 0
                for e in range(0, width, STEP):
                    for number in range(BLOCK):
                        part = np.float32(0)
                        for more in range(STEP):
                            part += query_TE[token, e + more] * block_EB[e + more, number]
                        sims_B[number] += part
                for number in range(BLOCK):
                    best_T[token] = max(best_T[token], sims_B[number])
        scores_C[place] = best_T.sum()
