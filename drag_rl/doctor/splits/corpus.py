"""The pages of the documents that questions are about: of a folder of pages, or of an index."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from drag_rl.corpus.pages import stream_pages
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusPage:
    """A page as far as it is looked at here."""

    page_id: str
    doc_id: str
    text: str
    source_file: str = ""
    """The file that it is of; empty where only the index is known."""
    source_sha256: str = ""
    failed: str = ""
    """Why the page could not be read; empty if it could."""


class Corpus(Protocol):
    """Where gold pages should be."""

    @property
    def kind(self) -> Literal["pages", "index"]:
        """What it is."""

    @property
    def name(self) -> str:
        """As the user calls it."""

    def pages(self, documents: Collection[str]) -> Iterator[CorpusPage]:
        """The pages of these documents, one after another; none of a document that is not there."""


@dataclass(frozen=True, slots=True)
class PagesFolder:
    """The pages of a folder."""

    folder: Path
    kind: Literal["pages"] = "pages"

    @property
    def name(self) -> str:
        """The folder."""
        return f"{self.folder}"

    def pages(self, documents: Collection[str]) -> Iterator[CorpusPage]:
        """See :class:`Corpus`; raises ``InputError`` for a folder that is unfinished or damaged."""
        for page in stream_pages(self.folder, Page):
            if page.doc_id in documents:
                yield CorpusPage(
                    page_id=page.page_id,
                    doc_id=page.doc_id,
                    text=page.text,
                    source_file=page.source_file,
                    source_sha256=page.source_sha256,
                    failed=(page.reason or "failed") if page.status == "failed" else "",
                )


@dataclass(frozen=True, slots=True)
class IndexedPages:
    """The pages of an index."""

    folder: Path
    texts: PageTexts
    kind: Literal["index"] = "index"

    @property
    def name(self) -> str:
        """The folder of the index."""
        return f"{self.folder}"

    def pages(self, documents: Collection[str]) -> Iterator[CorpusPage]:
        """See :class:`Corpus`."""
        for document in sorted(documents):
            for row in self.texts.page_ids.rows_of(document):
                page_id = self.texts.page_ids[int(row)]
                yield CorpusPage(page_id=page_id, doc_id=document, text=self.texts.text(page_id))
