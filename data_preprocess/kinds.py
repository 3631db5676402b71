"""Kinds of questions, by what they are made from."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a question is made from: a part of its id, and its data source.

    Of two questions that ask the same, the one whose kind is listed first is kept.
    """

    FAQ = "faq"
    """A question printed as a heading of a document that is a list of questions."""
    OUTLINE = "outline"
    """A heading of another document."""
    INDEX = "index"
    """A term of a document's index."""
    SENTENCE = "sentence"
    """A sentence of a page."""
