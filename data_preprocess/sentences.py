"""Sentences of a page to be asked as questions: the inverse cloze task.

Lee, Chang and Toutanova (2019), *Latent Retrieval for Weakly Supervised Open Domain Question Answering*,
section 4: a sentence is the query, and the text it was taken from, without it, is what should be found.
"""

from __future__ import annotations

import re

from sentencex import segment

from drag_rl.words import UNSPACED

MIN_WORDS, MAX_WORDS = 7, 18
"""Words of a sentence, at least and at most: shorter ones say too little, longer ones are unlike questions."""

MAX_CHARS = 400
"""Characters of a sentence, at most: it is searched for on all pages, so it must be short."""

PLAIN_SHARE = 0.85
"""Share of a sentence that must be plain words; the rest may be code, numbers and signs."""

_CLAUSE = re.compile(
    "(?<=。)[^。\\s][^。]{14,58}。|(?<=[\uac00-\ud7a3]\\. )[\uac00-\ud7a3][^.]{14,78}[\uac00-\ud7a3]\\."
)
"""A sentence of Chinese, Japanese or Korean; the one before it ends on its line, so that no heading is part of it."""
_PLAIN = re.compile(r"[^\W\d_]+(['\u2019-][^\W\d_]+)*[,;:.]?")


def askable_sentences(text: str, language: str) -> list[str]:
    """The sentences of a page's text that could be questions, in their order, each on one line.

    ``language`` is an ISO 639-1 code; an unknown one is split into sentences as English is.

    >>> text = "Ends. The first page lists all chapters of\\nthe book. Use it. Let f(x) = 2 x + 3 y - 4 hold here."
    >>> askable_sentences(text, "en")
    ['The first page lists all chapters of the book.']
    >>> askable_sentences("目次\\n始め。この章ではシステムのインストール方\\n法を説明します。次。", "ja")
    ['この章ではシステムのインストール方法を説明します。']
    """
    if UNSPACED.search(text):
        clauses = (re.sub(r"(?<=[^\x00-\x7f])\n", "", clause) for clause in _CLAUSE.findall(text))
        return [" ".join(clause.split()) for clause in clauses if _is_plain(clause)]
    return [" ".join(part.split()) for part in segment(language, text) if _is_askable(part)]


def _is_plain(clause: str) -> bool:
    """Whether a clause of a script without spaces is text, and not code, numbers and signs."""
    letters = "".join(clause.split())
    return len(UNSPACED.findall(letters)) >= PLAIN_SHARE * (len(letters) - 1)


def _is_askable(sentence: str) -> bool:
    if len(sentence) > MAX_CHARS:
        return False
    lines, words = sentence.strip().splitlines(), sentence.split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS or not words[0][0].isupper() or words[-1][-1] != ".":
        return False
    if any(line.lstrip()[:1].isupper() for line in lines[1:]):  # the lines above may be a heading
        return False
    return sum(_PLAIN.fullmatch(word) is not None for word in words) >= PLAIN_SHARE * len(words)
