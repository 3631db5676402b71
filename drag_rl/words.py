"""What a word is, in every script; the same for pages, queries, questions and answers.

Scripts that are written without spaces show no words. There, as with Lucene's ``CJKAnalyzer``, any two neighbouring
characters are one, in the alphabets of South-East Asia any three: so a part of a clause is found wherever it stands. A
Chinese character is a word of its own as well. Korean is read so too: its spaces part clauses, and get lost in PDFs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

WORD = re.compile(r"\b\w\w+\b")
"""A word of a script with spaces: two or more letters, digits or underscores, as in bm25s and scikit-learn."""

_HAN = "\u3005-\u3007\u3021-\u3029\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PAIRS = (
    f"{_HAN}\u3105-\u312f\u31a0-\u31bf"  # Chinese characters, Bopomofo
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc"  # Hangul
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana and Katakana
)
_TRIPLES = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ecd"  # Thai, Lao
    "\u1000-\u103f\u1050-\u108f\u1780-\u17d3"  # Myanmar, Khmer
)
_VOWEL_SIGNS = "".join(
    chr(code) for code in range(0x0590, 0x1A00) if unicodedata.category(chr(code)) in ("Mn", "Mc")
)
"""Marks of scripts, Hebrew to Balinese, that are parts of words though Python's ``\\w`` does not hold them."""
_WIDE = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
"""Latin letters and digits as wide as a Chinese character."""
_OTHER_WIDTH = re.compile("[\uff10-\uffdc]")
_BREAKS = "\n\u200b"
"""What may stand inside a clause: the end of a line that is full, and the place where one may be broken."""

UNSPACED = re.compile(f"[{_PAIRS}{_TRIPLES}]")
"""A character of a script without spaces."""
_OTHER_SCRIPTS = re.compile(f"[{_PAIRS}{_TRIPLES}{_VOWEL_SIGNS}{_WIDE}]")
_PIECE = re.compile(
    f"(?P<pairs>[{_PAIRS}]+(?:[{_BREAKS}][{_PAIRS}]+)*)"
    f"|(?P<triples>[{_TRIPLES}]+(?:[{_BREAKS}][{_TRIPLES}]+)*)"
    rf"|[^\W{_PAIRS}{_TRIPLES}](?:[^\W{_PAIRS}{_TRIPLES}]|[{_VOWEL_SIGNS}])+"
)
_HAN_ALONE = re.compile(f"[{_HAN}]")
_SIZES = {"pairs": 2, "triples": 3}


def words(text: str, skip: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Each word, as it is written, with the offset (in characters) at which it starts.

    In scripts without spaces whole clauses that are in ``skip``, a list of stop words, give no word.

    >>> list(words("An R package, naïve"))
    [(0, 'An'), (5, 'package'), (14, 'naïve')]
    >>> [word for _, word in words("首都は東京。Python3で")]
    ['首都', '首', '都は', '都', 'は東', '東京', '東', '京', 'Python3', 'で']
    """
    if not has_other_scripts(text):
        for match in WORD.finditer(text):
            yield match.start(), match.group()
        return
    for match in _PIECE.finditer(text):
        if match.lastgroup is None:
            yield match.start(), _folded(match.group())
        elif match.group() not in skip:
            yield from _grams(match.group(), match.start(), _SIZES[match.lastgroup])


def word_at(text: str, start: int) -> str:
    """The longest word that starts at an offset of a text, as it is written; empty if none does.

    >>> word_at("日本の首都", 3), word_at("An R package", 5)
    ('首都', 'package')
    """
    match = _PIECE.match(text, start)
    size = match and _SIZES.get(match.lastgroup or "")
    return match.group()[:size] if match else ""


def has_other_scripts(text: str) -> bool:
    """Whether a text holds letters of scripts that need more than ``WORD`` to be told into words."""
    return not text.isascii() and _OTHER_SCRIPTS.search(text) is not None


def _grams(run: str, offset: int, size: int) -> Iterator[tuple[int, str]]:
    """Every ``size`` neighbours of a run, with the place of the first, and each Chinese character alone."""
    places = [place for place, sign in enumerate(run) if sign not in _BREAKS]
    letters = _folded("".join(run[place] for place in places))
    last = max(0, len(letters) - size)
    for number, letter in enumerate(letters):
        start = offset + places[min(number, len(places) - 1)]
        if number <= last:
            yield start, letters[number : number + size]
        if len(letters) > 1 and _HAN_ALONE.match(letter):
            yield start, letter


def _folded(word: str) -> str:
    """Letters of half or double width in their usual form."""
    return unicodedata.normalize("NFKC", word) if _OTHER_WIDTH.search(word) else word
