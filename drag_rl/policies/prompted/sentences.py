"""Sentences of a text that a model writes: where one ends, and the first of them."""

from __future__ import annotations

import re

_END = re.compile(r"""[.!?]["')\]]*(?=\s)|[。！？][」』”]?|\n""")  # noqa: RUF001 (full-width ends of sentences)
_NO_END = re.compile(r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|cf|vs|etc|Dr|Mr|Mrs|Ms|St|No|Fig|Sec|approx)\.$")
"""A dot after one letter or a usual abbreviation ends no sentence."""
_LOOK_BACK_CHARS = 12


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a text begin and end, without the spaces around them; the last may be unfinished.

    >>> text = "It is 3.5 V, e.g. here. Then? It stops"
    >>> [text[begin:end] for begin, end in sentence_spans(text)]
    ['It is 3.5 V, e.g. here.', 'Then?', 'It stops']
    """
    spans, begin = [], 0
    for match in _END.finditer(text):
        end = match.end()
        if match.group().startswith(".") and _NO_END.search(text, max(begin, end - _LOOK_BACK_CHARS), end):
            continue
        spans.append(_stripped(text, begin, end))
        begin = end
    spans.append(_stripped(text, begin, len(text)))
    return [(begin, end) for begin, end in spans if begin < end]


def first_sentence(text: str) -> str:
    """The first sentence of a text; empty if it has none.

    >>> first_sentence(" The seal leaks. Then it is replaced.")
    'The seal leaks.'
    """
    spans = sentence_spans(text)
    return text[spans[0][0] : spans[0][1]] if spans else ""


def _stripped(text: str, begin: int, end: int) -> tuple[int, int]:
    part = text[begin:end]
    return begin + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
