"""Finds the documents and pages of a folder of pages by the names that a user gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from data_preprocess.question_rows import shown
from drag_rl.corpus.image_pages import split_place
from drag_rl.corpus.sources import doc_id_of
from drag_rl.errors import InputError
from drag_rl.types import Page


class Documents:
    """Finds a document of a PAGES_DIR by any name that a user may give it."""

    def __init__(self, pages: Sequence[Page], left_out: Mapping[str, str]) -> None:
        self._pages = {(page.doc_id, page.page_number): page for page in pages}
        self._left_out = left_out
        self._counts = Counter(page.doc_id for page in pages)
        self._names: dict[str, set[str]] = {}
        for doc_id, source in {(page.doc_id, split_place(page.source_file)[0]) for page in pages}:
            for name in {doc_id, source, PurePosixPath(doc_id).name, PurePosixPath(source).name}:
                self._names.setdefault(name, set()).add(doc_id)

    def find(self, file: str) -> str:
        """The document id for a file; raises ``InputError`` unless just one document is called that."""
        name = PurePosixPath(file.replace("\\", "/")).as_posix()
        found = {name} if name in self._counts else self._names.get(name, set())
        found = found or self._names.get(doc_id_of(name), set())
        if len(found) > 1:
            raise InputError(f"file {shown(file)} may be {' or '.join(sorted(found))}; give its path")
        if not found:
            raise InputError(f"file {shown(file)} is not one of the documents: {self._some()}")
        return next(iter(found))

    def page_id(self, doc_id: str, number: int) -> str:
        """The id of a page; raises ``InputError`` if it is not there, unreadable, or left out of the pool."""
        page = self._pages.get((doc_id, number))
        if page is None:
            raise InputError(f"{doc_id} has no page {number}; it has {self._counts[doc_id]}, counted from 1")
        if page.status == "failed":
            raise InputError(f"page {number} of {doc_id} could not be read ({page.reason})")
        if page.page_id in self._left_out:
            raise InputError(
                f"page {number} of {doc_id} is left out of the pool ({self._left_out[page.page_id]})"
            )
        return page.page_id

    def _some(self) -> str:
        names = sorted(self._counts)
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
