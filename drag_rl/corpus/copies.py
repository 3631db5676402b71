"""Find documents that are copies of each other, so that no split separates them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from drag_rl.corpus.image_pages import is_image

MIN_PAGE_CHARS = 200
"""A page with fewer characters is ignored: empty pages are equal in all documents."""
COPIED_SHARE = 0.5
"""Two documents are copies if this share of the smaller one's pages have the same words as pages of the other."""


class DocumentPage(Protocol):
    """What is compared of a :class:`drag_rl.types.Page`."""

    @property
    def doc_id(self) -> str:
        """Its document."""

    @property
    def text(self) -> str:
        """Its text."""

    @property
    def source_file(self) -> str:
        """The file that it is of; empty where that is not known."""

    @property
    def source_sha256(self) -> str:
        """Hex SHA-256 of that file's bytes."""


def copies(pages: Iterable[DocumentPage]) -> list[set[str]]:
    """Sets of documents that are copies of each other: their files have equal bytes, or their pages equal words.

    Pages that are images, with few words, are equal where their files are.

    Comparing words finds other editions, and a PDF that was saved twice. Takes time linear in the pages.
    """
    owners: dict[str, str] = {}
    parents: dict[str, str] = {}
    seen: Counter[str] = Counter()
    shared: Counter[tuple[str, str]] = Counter()
    counted: set[tuple[str, str]] = set()

    def root(doc_id: str) -> str:
        while (parent := parents.setdefault(doc_id, doc_id)) != doc_id:
            parents[doc_id] = parents[parent]
            doc_id = parent
        return doc_id

    for page in pages:
        root(page.doc_id)
        words = words_key(page.text)
        if is_image(
            page.source_file
        ):  # a file is a page here, not the document: two decks may share their last slide
            words = words or page.source_sha256
        elif page.source_file and page.source_sha256:  # pages of an OCR file have one file for all documents
            parents[root(page.doc_id)] = root(owners.setdefault(f"bytes {page.source_sha256}", page.doc_id))
        if words and (page.doc_id, words) not in counted:
            counted.add((page.doc_id, words))
            seen[page.doc_id] += 1
            shared[owners.setdefault(words, page.doc_id), page.doc_id] += 1
    for (one, other), count in shared.items():
        if one != other and count >= COPIED_SHARE * min(seen[one], seen[other]):
            parents[root(other)] = root(one)
    groups: dict[str, set[str]] = {}
    for doc_id in parents:
        groups.setdefault(root(doc_id), set()).add(doc_id)
    return [group for group in groups.values() if len(group) > 1]


def words_key(text: str) -> str:
    """The letters and digits of a page as a fixed-length key, empty if they are few."""
    if len(text) < MIN_PAGE_CHARS:
        return ""
    return hashlib.sha256("".join(re.findall(r"\w+", text.casefold())).encode()).hexdigest()
