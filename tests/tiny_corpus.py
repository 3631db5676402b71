"""A pages folder from plain texts, an index over it, and searching it as tests do: at once, with snippets."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drag_rl.corpus import pages as corpus
from drag_rl.files.manifest import Manifest, read_manifest
from drag_rl.retrieval import PageTexts, Query, Retriever, build_index, open_retriever
from drag_rl.types import Hit, Page


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


def index_of(folder: Path, texts: Sequence[str], **options: Any) -> Searching:
    """An index at ``folder/index`` over pages at ``folder/pages``; ``options`` are those of ``drag index``."""
    build_index(write_pages(folder / "pages", texts), folder / "index", **options)
    return Searching.load(folder / "index")


@dataclass(frozen=True)
class Found:
    """What one query found."""

    hits: tuple[Hit, ...]
    """With their snippets."""
    gold_ranks: tuple[int | None, ...]
    """Of each tracked page, among the pages that were searched."""
    corpus_ranks: tuple[int | None, ...]
    """The same, whatever pages were left out."""


@dataclass(frozen=True)
class Searching:
    """A retriever, its pages and its manifest, for code without an event loop."""

    retriever: Retriever
    manifest: Manifest

    @classmethod
    def load(cls, index_dir: Path, pages_dir: Path | None = None) -> Searching:
        return cls(open_retriever(index_dir, pages_dir), read_manifest(index_dir))

    @property
    def pages(self) -> PageTexts:
        return self.retriever.pages

    @property
    def page_ids(self) -> tuple[str, ...]:
        return self.pages.page_ids

    def __len__(self) -> int:
        return len(self.pages)

    def __contains__(self, page_id: object) -> bool:
        return page_id in self.pages

    def page(self, page_id: str) -> str:
        return self.pages.text(page_id)

    def search(
        self,
        query: str,
        top_k: int,
        gold_page_ids: Sequence[str] = (),
        *,
        snippet_chars: int = 400,
        without: Collection[str] = (),
    ) -> Found:
        track = tuple(gold_page_ids)
        queries = [Query(text=query, track=track), Query(text=query, track=track, without=frozenset(without))]
        whole, found = asyncio.run(self.retriever.search(queries, top_k))
        snippets = (self.pages.snippet(hit.page_id, query, snippet_chars) for hit in found.hits)
        hits = tuple(replace(hit, snippet=snippet) for hit, snippet in zip(found.hits, snippets, strict=True))
        return Found(hits=hits, gold_ranks=found.tracked, corpus_ranks=whole.tracked)
