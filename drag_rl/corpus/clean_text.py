"""Make extracted text fit to store, index and show."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_UNWANTED = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n|[\r\x0c\x85\u2028\u2029]")
_TRAILING = re.compile(r"(?<![ \t\u00a0])[ \t\u00a0]++$", re.MULTILINE)
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_BROKEN_WORD = re.compile(
    r"(?<![^\W\d_])([^\W\d_]{2,}+)(?:-|\u00ad)[ \t]*+\n[ \t]*+([^\W\d_A-Z][^\W\d_]++)(\S*+)[ \t]*+\n?"
)
"""The match begins at a word's first letter only, so that matching takes linear time."""


def clean_text(text: str) -> str:
    r"""Valid UTF-8 without control characters, with plain line ends, composed accents and no trailing blanks.

    Idempotent.

    >>> clean_text("a\x00b\r\nu\u0308ber \ud800 \n")
    'ab\nüber'
    """
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    return _TRAILING.sub("", unicodedata.normalize("NFC", text)).strip()


def join_broken_words(texts: Sequence[str]) -> list[str]:
    r"""Put together the words that the pages of one document, clean texts, break at a line's end.

    What goes on with a capital, in whatever script, is a name of two parts and stays. The hyphen stays, too, if the
    document writes the word with it elsewhere and never without it.

    >>> join_broken_words(["the num-\nber of apt-\nget runs", "use apt-get"])
    ['the number\nof apt-get\nruns', 'use apt-get']
    """
    written = {word.casefold() for text in texts for word in _WORD.findall(text)}

    def join(match: re.Match[str]) -> str:
        if match[2][0].isupper():
            return match[0]
        plain, hyphenated = match[1] + match[2], f"{match[1]}-{match[2]}"
        keep = hyphenated.casefold() in written and plain.casefold() not in written
        return f"{hyphenated if keep else plain}{match[3]}\n"

    return [_BROKEN_WORD.sub(join, text).rstrip("\n") for text in texts]


def is_legible(text: str) -> bool:
    """Whether text holds letters or digits, and few unknown glyphs or private-use code points.

    >>> is_legible("Chapter 1"), is_legible("\ufffd\ufffd\ue000 a"), is_legible(" . ")
    (True, False, False)
    """
    known, unknown = letters_in(text), 0
    for character, count in Counter(text).items():
        unknown += count * (character == "\ufffd" or unicodedata.category(character) == "Co")
    return known > 0 and unknown < 0.3 * (known + unknown)


def letters_in(text: str) -> int:
    """How many letters and digits a text has.

    >>> letters_in("Chapter 1!")
    8
    """
    return sum(count for character, count in Counter(text).items() if character.isalnum())
