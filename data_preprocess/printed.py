"""Finding what is printed on a page, in its text and in its PDF alike, whatever the spacing and line breaks.

Words are compared by their letters and digits alone, so quotes, hyphens and ligatures make no difference.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from drag_rl.corpus.redactions import Box

Place = TypeVar("Place")
Span = tuple[int, int]
"""Start and end offset in a text, in characters."""

FULL_STOP = "\u3002"
"""Ends a sentence of Chinese and Japanese, and a word here, for no space does."""
_PRINTED = re.compile(rf"[^\s{FULL_STOP}]+{FULL_STOP}?|{FULL_STOP}")
_LABEL = re.compile(r"(chapter|section|appendix|part)?[a-z]?[\d]*|[ivxlc]+")
MAX_LABELS = 3
"""At most this many words, such as a number, may come before a heading on its line."""
_NUMBER = re.compile(r"\d*|[ivxlc]+")


@dataclass(frozen=True, slots=True)
class Word(Generic[Place]):
    """A printed word."""

    key: str
    """Its letters and digits, see ``key_of``; may be empty."""
    line: int
    """Which line it stands on; words of a line share the number."""
    place: Place


def key_of(text: str) -> str:
    """Letters and digits, lower-cased, ligatures resolved.

    >>> key_of("What\\u2019s in the \\ufb01les?")
    'whatsinthefiles'
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def words_of_text(text: str) -> list[Word[Span]]:
    """The words of a page's text with their offsets."""
    words, offset = [], 0
    for number, line in enumerate(text.splitlines(keepends=True)):
        for match in _PRINTED.finditer(line):
            span = (offset + match.start(), offset + match.end())
            words.append(Word(key_of(match.group()), number, span))
        offset += len(line)
    return words


def words_of_pdf(page: Any) -> list[Word[Box]]:
    """The words of a ``pymupdf.Page`` with their boxes in points, in the order of the file."""
    lines: dict[tuple[int, int], int] = {}
    return [
        Word(key_of(text), lines.setdefault((block, line), len(lines)), (x0, y0, x1, y1))
        for x0, y0, x1, y1, text, block, line, _ in page.get_text("words", delimiters=FULL_STOP)
    ]


def printed_at(words: Sequence[Word[Place]], key: str) -> list[tuple[int, int]]:
    """Each place where ``key`` is printed in whole words: the numbers of its first and last word.

    >>> printed_at(words_of_text("what is R? What is\\nR?"), "isr")
    [(1, 2), (4, 5)]
    """
    joined = "".join(word.key for word in words)
    first_at: dict[int, int] = {}
    last_at: dict[int, int] = {}
    offset = 0
    for number, word in enumerate(words):
        if word.key:
            first_at[offset] = number
            offset += len(word.key)
            last_at[offset] = number
    found, at = [], joined.find(key)
    while key and at >= 0:
        first, last = first_at.get(at), last_at.get(at + len(key))
        if first is not None and last is not None:
            found.append((first, last))
        at = joined.find(key, at + 1)
    return found


def standing_alone(words: Sequence[Word[Place]], key: str) -> list[Sequence[Word[Place]]]:
    """Each place where ``key`` fills whole lines, apart from a number before or after it: all words of those lines.

    >>> words = words_of_text("2.1 What is R?\\nPeople ask what is R? often.\\nWhat is\\nR? 17")
    >>> [[word.key for word in found] for found in standing_alone(words, "whatisr")]
    [['21', 'what', 'is', 'r'], ['what', 'is', 'r', '17']]
    """
    places = printed_at(words, key)
    starts, ends, only_numbers = _lines(words) if places else ([], [], [])
    found = []
    for first, last in places:
        start, end = starts[first], ends[last]
        is_labelled = first - start <= MAX_LABELS and all(
            _LABEL.fullmatch(word.key) for word in words[start:first]
        )
        if is_labelled and (last + 1 == end or only_numbers[last + 1]):
            found.append(words[start:end])
    return found


def cut_spans(text: str, spans: Iterable[Span]) -> str:
    """The text without some spans, which may overlap; lines that become empty are removed.

    >>> cut_spans("one\\n2 two\\nthree", [(4, 9)])
    'one\\nthree'
    """
    pieces, scars, end, removed = [], deque[int](), 0, 0
    for start, stop in _merged(spans):
        pieces.append(text[end:start])
        scars.append(start - removed)
        removed += stop - start
        end = stop
    kept, offset = [], 0
    for line in re.findall(r".*\n|.+", "".join([*pieces, text[end:]])):
        offset += len(line)
        line_end = offset - line.endswith("\n")
        is_cut = bool(scars) and scars[0] <= line_end
        while scars and scars[0] <= line_end:
            scars.popleft()
        if not is_cut or line.strip():
            kept.append(line)
    return "".join(kept)


def _lines(words: Sequence[Word[Any]]) -> tuple[list[int], list[int], list[bool]]:
    """Of each word: its line's first word, the one after its line's last, and whether numbers alone are left there."""
    starts: list[int] = []
    for number, word in enumerate(words):
        is_first = number == 0 or words[number - 1].line != word.line
        starts.append(number if is_first else starts[-1])
    ends, only_numbers = [len(words)] * len(words), [True] * len(words)
    for number in reversed(range(len(words))):
        is_last = number + 1 == len(words) or starts[number + 1] == number + 1
        ends[number] = number + 1 if is_last else ends[number + 1]
        is_number = _NUMBER.fullmatch(words[number].key) is not None
        only_numbers[number] = is_number and (is_last or only_numbers[number + 1])
    return starts, ends, only_numbers


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
