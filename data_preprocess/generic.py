"""Titles and terms that are too generic to be a question."""

from __future__ import annotations

import re

from data_preprocess.kinds import Kind
from drag_rl.words import UNSPACED

_WORDS = (
    "a about acknowledgements acknowledgments advanced an and appendix background basic basics "
    "bibliography changes chapter command commands conclusion contents copyright description "
    "details example examples faq features for function functions further general getting glossary "
    "history how in index install installation installing introduction known license limitations "
    "list miscellaneous miscellany more new notes of on options other overview part preface "
    "preliminaries problems reading references related section see some started summary syntax the "
    "to topics usage use using variables with your"
)
GENERIC_WORDS = frozenset(_WORDS.split())
"""Words that any document may have; a title of these alone is generic."""


def too_generic(text: str, kind: Kind) -> str:
    """Why a title or term says too little to be a question, empty if it does not.

    A printed question is always one. A title needs two words, one of them not generic; a term three letters. In scripts
    without spaces a title needs four characters and a term two.

    >>> [too_generic(text, Kind.OUTLINE) for text in ("Introduction", "General notes", "Package structure")]
    ['single_word', 'generic', '']
    >>> [too_generic(text, Kind.OUTLINE) for text in ("概要", "磁盘分区")]
    ['single_word', '']
    >>> too_generic("%*%", Kind.INDEX)
    'no_word'
    """
    words = re.findall(r"[^\W\d_]+", text.casefold())
    characters = len(UNSPACED.findall(text))
    if kind == Kind.INDEX:
        return "" if characters >= 2 or any(len(word) >= 3 for word in words) else "no_word"
    if kind == Kind.OUTLINE and len(text.split()) < 2 and characters < 4:
        return "single_word"
    return "generic" if kind == Kind.OUTLINE and set(words) <= GENERIC_WORDS else ""
