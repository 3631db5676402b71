"""The words of a query, and which of a model's tokens make up each: people think in words, models in pieces of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from drag_rl.words import UNSPACED

_SPACED = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryWord:
    """One word of a query."""

    text: str
    """As it is written, with the punctuation that touches it."""
    tokens: tuple[int, ...]
    """The places of its tokens among all of the query's, from 0; at least one."""


def query_words(text: str, tokens: Sequence[str]) -> tuple[QueryWord, ...]:
    """The words of a query, in order, and their tokens; a word without a token is left out.

    ``tokens`` are the pieces of the text in its order, with or without the spaces between; "" is no part of it. A token
    of a script without spaces is a word by itself. A token that is not found in the text where it should be, such as
    the half of a character, belongs to the word before it.

    >>> [word.text for word in query_words("net revenue, 2024", ["net", " rev", "enue", ",", " 20", "24", ""])]
    ['net', 'revenue,', '2024']
    >>> query_words("net revenue, 2024", ["net", " rev", "enue", ",", " 20", "24", ""])[1].tokens
    (1, 2, 3)
    >>> [word.text for word in query_words("日本の首都", ["日本", "の", "首都"])]
    ['日本', 'の', '首都']
    """
    words = list(_SPACED.finditer(text))
    found: list[tuple[object, str, list[int]]] = []  # what tells words apart, the word, its tokens
    at = place = 0
    for number, token in enumerate(tokens):
        piece = token.strip()
        if not piece:
            continue
        start = text.find(piece, at)
        if start < 0:
            if found:
                found[-1][2].append(number)
            else:
                found.append((number, piece, [number]))
            continue
        at = start + len(piece)
        while words[place].end() <= start:
            place += 1
        alone = UNSPACED.search(piece) is not None
        key, word = (number, piece) if alone else (words[place].span(), words[place].group())
        if found and found[-1][0] == key:
            found[-1][2].append(number)
        else:
            found.append((key, word, [number]))
    return tuple(QueryWord(text=word, tokens=tuple(numbers)) for _, word, numbers in found)
