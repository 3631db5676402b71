"""Text to index terms: words of any script, lower-cased, without stop words, stemmed; pages and queries alike."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import Stemmer

from drag_rl.errors import InputError
from drag_rl.words import words

NONE = "none"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """How text becomes terms; safe to share between threads.

    Raises ``InputError`` for a stemmer that PyStemmer does not have.

    >>> Tokenizer(stemmer="english", stopwords=("the", "of")).terms("The names of the packages, and I")
    ['name', 'packag', 'and']
    """

    stemmer: str = "english"
    """A PyStemmer (Snowball) algorithm such as ``english`` or ``german``, or ``none``."""
    stopwords: tuple[str, ...] = ()
    """Lower-case words that are no terms."""
    _stopwords: frozenset[str] = field(init=False, repr=False, compare=False)
    _local: threading.local = field(init=False, repr=False, compare=False, default_factory=threading.local)

    def __post_init__(self) -> None:
        known = Stemmer.algorithms()
        if self.stemmer != NONE and self.stemmer not in known:
            raise InputError(f"stemmer {self.stemmer!r} is not known; choose none, {', '.join(known)}")
        object.__setattr__(self, "_stopwords", frozenset(self.stopwords))

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order, repeats kept."""
        return [term for _, _, term in self.spans(text)]

    def spans(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Each term, after the word that it stands for, in lower case, and that word's offset (in characters)."""
        for start, word in self.words(text):
            term = self.term(word)
            if term is not None:
                yield start, word.lower(), term

    def words(self, text: str) -> Iterator[tuple[int, str]]:
        """Each word, stop words too, as it is written, after its offset (in characters)."""
        return words(text, skip=self._stopwords)

    def term(self, word: str) -> str | None:
        """The term that a word stands for, however it is written; None for a stop word."""
        word = word.lower()
        return None if word in self._stopwords else self._stem()(word)

    def _stem(self) -> Callable[[str], str]:
        """A function from word to term, for this thread alone: a ``Stemmer`` must not be shared."""
        if self.stemmer == NONE:
            return str
        stemmer = getattr(self._local, "stemmer", None)
        if stemmer is None:
            stemmer = self._local.stemmer = Stemmer.Stemmer(self.stemmer)
        stem: Callable[[str], str] = stemmer.stemWord
        return stem


@cache
def default_tokenizer() -> Tokenizer:
    """The tokenizer of pages that nothing else is known of: English stemmer, short list of English stop words."""
    from drag_rl.retrieval.stopwords import STOPWORDS  # they are bm25s's, which takes its time to import

    return Tokenizer(stemmer="english", stopwords=STOPWORDS["en"])


def write_tokenizer(index_dir: Path, tokenizer: Tokenizer) -> None:
    """Keep the tokenizer, words and all, with an index."""
    settings = {"stemmer": tokenizer.stemmer, "stopwords": tokenizer.stopwords}
    (index_dir / TOKENIZER).write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")


def read_tokenizer(index_dir: Path) -> Tokenizer:
    """The tokenizer that an index was built with."""
    found = json.loads((index_dir / TOKENIZER).read_text(encoding="utf-8"))
    return Tokenizer(stemmer=found["stemmer"], stopwords=tuple(found["stopwords"]))
