"""The older way to search, a thin cover over the BM25 retriever; goes away once nobody uses it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drag_rl.retrieval.base import Query
from drag_rl.retrieval.index_folder import check_corpus, check_files, check_words
from drag_rl.retrieval.sparse.retriever import open_bm25
from drag_rl.retrieval.tokenizer import Tokenizer
from drag_rl.types import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What one search found."""

    hits: tuple[Hit, ...]
    """Best first, at most ``top_k``; pages that share no term with the query are no hits."""
    gold_ranks: tuple[int | None, ...]
    """The exact 1-based rank of each asked page among the pages that were searched; None for a page that is not among
    them, or scores 0."""
    corpus_ranks: tuple[int | None, ...]
    """The same over the whole index, whatever pages were left out."""


class SearchIndex:
    """See :class:`drag_rl.retrieval.sparse.retriever.Bm25Retriever`."""

    def __init__(self, index_dir: Path, pages_dir: Path | None = None) -> None:
        index_dir = Path(index_dir)
        self.manifest = check_files(index_dir)
        if pages_dir is not None:
            check_corpus(index_dir, self.manifest, Path(pages_dir))
        self.retriever = open_bm25(index_dir, self.manifest)
        self.pages = self.retriever.pages
        check_words(index_dir, self.manifest, self.pages.terms.vocabulary)

    @classmethod
    def load(cls, index_dir: Path, pages_dir: Path | None = None) -> SearchIndex:
        """Open and check."""
        return cls(index_dir, pages_dir)

    def __len__(self) -> int:
        return len(self.pages)

    def __contains__(self, page_id: object) -> bool:
        return page_id in self.pages

    @property
    def page_ids(self) -> tuple[str, ...]:
        """Every page that can be found, in page order."""
        return self.pages.page_ids

    @property
    def tokenizer(self) -> Tokenizer:
        """How pages and queries become terms."""
        return self.pages.tokenizer

    def pages_with(self, term: str) -> int:
        """How many pages hold a term."""
        return self.pages.pages_with(term)

    def page(self, page_id: str) -> str:
        """The text of a page."""
        return self.pages.text(page_id)

    def search(
        self,
        query: str,
        top_k: int,
        gold_page_ids: Sequence[str] = (),
        *,
        snippet_chars: int = 400,
        without: Collection[str] = (),
    ) -> SearchResult:
        """The best ``top_k`` pages for ``query`` and the exact rank of each page of ``gold_page_ids``."""
        track = tuple(gold_page_ids)
        queries = [Query(text=query, track=track), Query(text=query, track=track, without=frozenset(without))]
        whole, found = self.retriever.search_now(queries, top_k)
        hits = (
            replace(hit, snippet=self.pages.snippet(hit.page_id, query, snippet_chars)) for hit in found.hits
        )
        return SearchResult(hits=tuple(hits), gold_ranks=found.tracked, corpus_ranks=whole.tracked)
