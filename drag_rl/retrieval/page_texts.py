"""The texts of the pages that can be found, and the snippets that fit a query: the same for every retriever."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.retrieval.mapped import mapped_array, mapped_batches
from drag_rl.retrieval.page_ids import PAGE_ORDER, TEXTS, PageIds
from drag_rl.retrieval.page_terms import PageTerms
from drag_rl.retrieval.snippet import fitting_snippet
from drag_rl.retrieval.tokenizer import Tokenizer, default_tokenizer, read_tokenizer

QUERIES_KEPT = 1024
"""The terms of so many queries are kept, as every page that a query found asks for them."""


class PageTexts:
    """Texts by page id, in page order; reads only, safe to share between threads."""

    def __init__(
        self, page_ids: PageIds, texts: pa.ChunkedArray, terms: PageTerms, tokenizer: Tokenizer
    ) -> None:
        """Pages in page order, their texts and terms. See :meth:`of` and :meth:`open`."""
        self.page_ids = page_ids
        self.terms = terms
        self.tokenizer = tokenizer
        self._texts = texts
        self._terms = lru_cache(QUERIES_KEPT)(self._terms_of)
        self._weighted = lru_cache(QUERIES_KEPT)(self._weighted_terms)

    @classmethod
    def of(cls, texts: Mapping[str, str], *, tokenizer: Tokenizer | None = None) -> PageTexts:
        """The pages of a mapping from page id to text, in its order, held in memory.

        >>> pages = PageTexts.of({"manual#1": "Saving a workspace", "manual#2": "Loading a saved workspace"})
        >>> len(pages), pages.pages_with("save"), pages.snippet("manual#2", "load", 14)
        (2, 2, 'Loading a')
        """
        tokenizer = tokenizer or default_tokenizer()
        held = pa.chunked_array([pa.array([*texts.values()], pa.large_string())])
        return cls(PageIds.of([*texts]), held, PageTerms.of(texts.values(), tokenizer), tokenizer)

    @classmethod
    def open(cls, folder: Path) -> PageTexts:
        """The pages of an index folder, memory-mapped: they take next to no memory of this process's own."""
        texts = pa.Table.from_batches(mapped_batches(folder / TEXTS))
        ids = PageIds(texts.column("page_id"), mapped_array(folder / PAGE_ORDER))
        return cls(ids, texts.column("text"), PageTerms.open(folder), read_tokenizer(folder))

    def __len__(self) -> int:
        return len(self.page_ids)

    def __contains__(self, page_id: object) -> bool:
        return page_id in self.page_ids

    def text(self, page_id: str) -> str:
        """The text of a page. Raises ``InputError`` for a page that is not in the index."""
        return str(self._texts[self.row(page_id)].as_py())

    def snippet(self, page_id: str, query: str, max_chars: int) -> str:
        """The part of a page that fits a query best, at most ``max_chars`` characters of whole words.

        Rare terms weigh more than common ones; a page without any term of the query shows its beginning.
        Raises ``InputError`` for a page that is not in the index.
        """
        row = self.row(page_id)
        if max_chars <= 0:
            return ""
        text = str(self._texts[row].as_py())
        return fitting_snippet(text, *self.terms.of_page(row), *self._weighted(query), max_chars)

    def query_terms(self, query: str) -> list[str]:
        """The terms of a query, normalised as the pages' texts are, in order, repeats kept."""
        return [*self._terms(query)]

    def pages_with(self, term: str) -> int:
        """How many pages hold a term, as the tokenizer makes terms."""
        term_id = self.terms.vocabulary.get(term)
        return 0 if term_id is None else int(self.terms.holding[term_id])

    def row(self, page_id: str) -> int:
        """The place of a page in page order, 0-based. Raises ``InputError`` for a page that is not in the index."""
        row = self.page_ids.row(page_id)
        if row is None:
            raise InputError(f"page {page_id!r} is not in the index; was it left out of the pool?")
        return row

    def rows(self, page_ids: Collection[str]) -> list[int]:
        """The places of some pages. Raises ``InputError`` for a page that is not in the index."""
        return [self.row(page_id) for page_id in page_ids]

    def rows_of(self, document: str) -> npt.NDArray[np.int64]:
        """The places of a document's pages, rising. Raises ``InputError`` for a document that is not in the index."""
        rows = self.page_ids.rows_of(document)
        if not len(rows):
            raise InputError(f"document {document!r} has no page in the index")
        return rows

    def _terms_of(self, query: str) -> tuple[str, ...]:
        return tuple(self.tokenizer.terms(clean_text(query)))

    def _weighted_terms(self, query: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """The ids of a query's terms that some page holds, rising, and the weight of each."""
        vocabulary = self.terms.vocabulary
        found = map(vocabulary.get, {*self._terms(query)})
        ids = np.array(sorted(term_id for term_id in found if term_id is not None), dtype=np.int32)
        return ids, self.terms.weights(ids)
