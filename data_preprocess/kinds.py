"""Where a question comes from."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """Part of a question's id, and its data source; of two that ask the same, the earlier kind stays."""

    FAQ = "faq"
    """A question printed as a heading of a document that is a list of questions."""
    OUTLINE = "outline"
    """A heading of another document."""
    INDEX = "index"
    """A term of a document's index."""
    SENTENCE = "sentence"
    """A sentence of a page."""
