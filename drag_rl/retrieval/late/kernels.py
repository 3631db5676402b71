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
    """How many bits of a word are 1: one instruction of the processor, on eight words at a time where it can."""
    del typing_context, word

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@compiled
def hamming(
    query_TW: Array, bits_VW: Array, starts_D1: Array, width: int, rows_C: Array, scores_C: Array
) -> None:
    """MaxSim of signs: the similarity of two vectors is ``(E - 2 * different bits) / E``, in [-1, 1]."""
    words = query_TW.shape[1]
    for place in range(len(rows_C)):
        begin, end = starts_D1[rows_C[place]], starts_D1[rows_C[place] + 1]
        if begin == end:
            scores_C[place] = -np.inf
            continue
        different = 0
        for token in range(len(query_TW)):
            least = 64 * words
            if words == 2:  # the usual 128 numbers: the compiler takes several vectors at a time
                first, second = query_TW[token, 0], query_TW[token, 1]
                for vector in range(begin, end):
                    least = min(least, _ones(first ^ bits_VW[vector, 0]) + _ones(second ^ bits_VW[vector, 1]))
            else:
                for vector in range(begin, end):
                    bits = 0
                    for word in range(words):
                        bits += _ones(query_TW[token, word] ^ bits_VW[vector, word])
                    least = min(least, bits)
            different += least
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
    most = 1
    for row in rows_C:
        most = max(most, starts_D1[row + 1] - starts_D1[row])
    totals = np.empty(most, np.int64)
    for place in range(len(rows_C)):
        begin, end = starts_D1[rows_C[place]], starts_D1[rows_C[place] + 1]
        if begin == end:
            scores_C[place] = -np.inf
            continue
        score = 0.0
        for token in range(tokens):
            totals[: end - begin] = 0
            for plane in range(planes):
                weight = 1 << plane if plane < planes - 1 else -(1 << plane)
                for word in range(words):
                    mask = planes_TBW[token, plane, word]
                    for vector in range(end - begin):
                        totals[vector] += weight * _ones(mask & bits_VW[begin + vector, word])
            best = totals[0]
            for vector in range(1, end - begin):
                best = max(best, totals[vector])
            score += steps_T[token] * (2 * best - sums_T[token])
        scores_C[place] = score


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
        begin, end = starts_D1[rows_C[place]], starts_D1[rows_C[place] + 1]
        best_T[:] = -np.inf
        for first in range(begin, end, BLOCK):
            for number in range(BLOCK):
                vector = min(first + number, end - 1)  # the last one again and again changes no maximum
                for e in range(vectors_VE.shape[1]):
                    words[e, number] = np.uint32(vectors_VE[vector, e]) << np.uint32(16)
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


@compiled_reordering
def maxsim_of_rounded(
    sims_VS: Array, query_TE: Array, vectors_VE: Array, starts_C: Array, ends_C: Array, scores_C: Array
) -> None:
    """MaxSim given the similarities rounded to bfloat16, by their bits as int16, with S places for T vectors.

    Rounding keeps order, so that the best vector of a page is one of those whose rounded similarity is the best: those
    few alone are multiplied anew, in float32. The places that are left over in ``sims_VS`` are 0.
    """
    tokens, width = query_TE.shape
    places = sims_VS.shape[1]
    most_S = np.empty(places, np.int16)
    words = np.empty(width, np.uint32)
    vector_E = words.view(np.float32)
    best_T = np.empty(tokens, np.float32)
    for page in range(len(scores_C)):
        most_S[:] = -1  # any negative similarity is less, as a signed number
        for vector in range(starts_C[page], ends_C[page]):
            for place in range(places):
                most_S[place] = max(most_S[place], sims_VS[vector, place])
        most_S[tokens:] = -1
        best_T[:] = -np.inf
        for vector in range(starts_C[page], ends_C[page]):
            nearest = np.uint16(1)
            for place in range(places):
                nearest = min(nearest, np.uint16(sims_VS[vector, place] ^ most_S[place]))
            if nearest > 0 and most_S[:tokens].min() >= 0:
                continue
            for e in range(width):
                words[e] = np.uint32(vectors_VE[vector, e]) << np.uint32(16)
            for token in range(tokens):
                # Of negative similarities alone the bits do not tell the order: all of them are multiplied anew.
                if sims_VS[vector, token] == most_S[token] or most_S[token] < 0:
                    similarity = np.float32(0)
                    for e in range(width):
                        similarity += vector_E[e] * query_TE[token, e]
                    best_T[token] = max(best_T[token], similarity)
        scores_C[page] = best_T.sum()
