"""A pages folder from plain texts, and an index over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drag_rl.corpus import pages as corpus
from drag_rl.retrieval.sparse.build import IndexOptions, build_index
from drag_rl.retrieval.sparse.index import SearchIndex
from drag_rl.types import Page


def page_of(doc_id: str, number: int, text: str, status: str = "ok") -> Page:
    """A page of a document; a failed one is damaged."""
    return Page(
        page_id=f"{doc_id}#{number}",
        doc_id=doc_id,
        page_number=number,
        label="",
        text=text,
        width_pt=0.0,
        height_pt=0.0,
        source_file=f"{doc_id}.pdf",
        source_sha256="",
        text_source="pdf" if text else "none",
        status="failed" if status == "failed" else "ok",
        reason="damaged" if status == "failed" else "",
    )


def write_pages(folder: Path, texts: Sequence[str], failed: Sequence[int] = ()) -> Path:
    """A PAGES_DIR of one document, ``doc``; the page numbers in ``failed`` could not be read."""
    pages = [
        page_of("doc", number, text, "failed" if number in failed else "ok")
        for number, text in enumerate(texts, start=1)
    ]
    corpus.write_pages(folder, pages, stage="ingest", pdf_dir=None)
    return folder


def index_of(folder: Path, texts: Sequence[str], **options: Any) -> SearchIndex:
    """An index at ``folder/index`` over pages at ``folder/pages``."""
    build_index(write_pages(folder / "pages", texts), folder / "index", IndexOptions(**options))
    return SearchIndex.load(folder / "index")
