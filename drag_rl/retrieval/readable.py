"""The pages of a PAGES_DIR that are to be indexed, and counts of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from drag_rl.corpus.pages import PageText, pages_manifest, stream_pages
from drag_rl.corpus.pool import read_left_out
from drag_rl.errors import InputError


class ReadablePages:
    """Page id and text of every page of a folder that could be read and is in the pool; to be iterated once."""

    def __init__(self, pages_dir: Path) -> None:
        """Raises ``InputError`` for a folder that is missing, unfinished or none of pages."""
        self.expected = int(pages_manifest(pages_dir).counts.get("pages", 0))
        """How many pages there may be, at most."""
        self.pages = self.failed = 0
        """How many pages there were, and how many of them are damaged; both are known after the iteration."""
        self.left_out: Counter[str] = Counter()
        """How many of the others are not in the pool, by the reason."""
        self._pages_dir = pages_dir

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Raises ``InputError`` for damaged files, and if there is no page to index."""
        left_out = read_left_out(self._pages_dir)
        for page in stream_pages(self._pages_dir, PageText):
            self.pages += 1
            if page.status != "ok":
                self.failed += 1
            elif page.page_id in left_out:
                self.left_out[left_out[page.page_id]] += 1
            else:
                yield page.page_id, page.text
        if self.pages == self.failed + self.left_out.total():
            raise InputError(f"{self._pages_dir}: no page to index: all failed or are left out of the pool")
