"""How right an answer is: exact match, token F1, ANLS*, and whether the evidence held it.

Texts are compared as in SQuAD (Rajpurkar et al. 2016): lower case, without punctuation and English articles. An answer
is scored without its ``[page_id]`` citations; those are scored in ``citations``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from rapidfuzz.distance import Levenshtein

from drag_rl.citations import without_citations
from drag_rl.types import Answer, Outcome
from drag_rl.words import UNSPACED

ANLS_THRESHOLD = 0.5
"""ANLS* below it counts as 0, in its definition."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


class _AsCompared(dict[int, str | None]):
    """Character -> what is left of it in a comparison, worked out at first sight."""

    def __missing__(self, code: int) -> str | None:
        sign = chr(code)
        kept = None if unicodedata.category(sign).startswith(("P", "S")) else sign
        self[code] = f" {sign} " if UNSPACED.match(sign) else kept
        return self[code]


_AS_COMPARED = _AsCompared()


def normalise(text: str) -> str:
    """Words in lower case without punctuation and articles; only white space and case where nothing else is left.

    Of scripts without spaces each character is a word, as in the field's measures of Chinese and Korean answers.

    >>> normalise("The CH-47's  speed!"), normalise("A"), normalise("?"), normalise("東京です。")
    ('ch47s speed', 'a', '?', '東 京 で す')
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_ARTICLES.sub(" ", folded.translate(_AS_COMPARED)).split()) or " ".join(folded.split())


def uncited(answer: Answer) -> str:
    """The answer's text without the brackets that hold its citations.

    >>> uncited(Answer(text="170 knots [ch47#42] (see [1]).", citations=("ch47#42",)))
    '170 knots (see [1]).'
    """
    return without_citations(answer.text)


def exact_match(answer: str, golds: Iterable[str]) -> float:
    """1 if the answer is, once normalised, one of the gold answers, else 0."""
    return float(normalise(answer) in {normalise(gold) for gold in golds})


def token_f1(answer: str, golds: Iterable[str]) -> float:
    """The best F1 of shared words (counted with repeats) over the gold answers, in [0, 1].

    >>> round(token_f1("170 knots at sea level", ["the 170 knots", "knots"]), 3)
    0.571
    """
    return max((_f1(normalise(answer).split(), normalise(gold).split()) for gold in golds), default=0.0)


def anls(answer: str, golds: Iterable[str]) -> float:
    """ANLS* of an answer and its alternatives, in [0, 1] (Peer et al. 2024, arXiv 2402.03848); 0 for an empty answer.

    ``1 - edit distance / longer length`` in lower case, at best over the gold answers; below 0.5 it counts 0. Equals
    the reference package ``anls-star``, which takes milliseconds for a sentence: too long for a reward.

    >>> anls("170 knot", ["170 knots"]), anls("unknown", ["170 knots"]), anls("", ["170 knots"])
    (0.8888888888888888, 0.0, 0.0)
    """
    text = _as_compared(answer)
    if not text:
        return 0.0
    similarities = (
        Levenshtein.normalized_similarity(text, _as_compared(gold), score_cutoff=ANLS_THRESHOLD)
        for gold in golds
    )
    return max(similarities, default=0.0)


def is_right(answer: str, golds: Iterable[str]) -> float:
    """1 if ANLS* takes the answer for right (0.5 or more), or a gold answer occurs in it word for word, else 0."""
    golds = tuple(golds)
    return float(anls(answer, golds) >= ANLS_THRESHOLD or contains(answer, golds) > 0)


def contains(text: str, golds: Iterable[str]) -> float:
    """1 if a gold answer occurs word for word in a text, both normalised, else 0.

    >>> contains("It flies at 170 knots.", ["170 Knots"]), contains("1170 knots", ["170 knots"])
    (1.0, 0.0)
    """
    words = f" {normalise(text)} "
    return float(any(f" {normalise(gold)} " in words for gold in golds if gold.strip()))


def answer_in_context(outcome: Outcome) -> float:
    """1 if a gold answer occurs in what the policy was shown of pages, both normalised, else 0.

    What was shown is in the trace (``Turn.shown_texts``): neither page ids nor our own notes, which may repeat the
    query, count, nor the hits of a search on the last turn, which nobody reads.
    """
    if not outcome.question.answers:
        return 0.0
    shown = "\n".join(text for turn in outcome.turns for text in turn.shown_texts)
    return contains(shown, outcome.question.answers)


def _as_compared(text: str) -> str:
    return " ".join(text.lower().split())


def _f1(answer: list[str], gold: list[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    shared = sum((Counter(answer) & Counter(gold)).values())
    return 2 * shared / (len(answer) + len(gold))
