"""The texts of the pages that can be found, and the snippets that fit a query: the same for every retriever."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.retrieval.page_terms import PageTerms
from drag_rl.retrieval.snippet import fitting_snippet
from drag_rl.retrieval.tokenizer import Tokenizer, default_tokenizer, read_tokenizer, write_tokenizer

TEXTS = "texts.arrow"
QUERIES_KEPT = 1024
"""The terms of so many queries are kept, as every page that a query found asks for them."""


class PageTexts:
    """Texts by page id, in page order; reads only, safe to share between threads."""

    def __init__(self, texts: pa.RecordBatch, terms: PageTerms, tokenizer: Tokenizer) -> None:
        """``texts`` has the columns ``page_id`` and ``text``. See :meth:`of` and :meth:`open`."""
        self.page_ids: tuple[str, ...] = tuple(map(str, texts.column("page_id").to_pylist()))
        self.terms = terms
        self.tokenizer = tokenizer
        self._texts = texts.column("text")
        self._rows = {page_id: row for row, page_id in enumerate(self.page_ids)}
        self._query_terms = lru_cache(QUERIES_KEPT)(self._weighted_terms)

    @classmethod
    def of(cls, texts: Mapping[str, str], *, tokenizer: Tokenizer | None = None) -> PageTexts:
        """The pages of a mapping from page id to text, in its order, held in memory.

        >>> pages = PageTexts.of({"manual#1": "Saving a workspace", "manual#2": "Loading a saved workspace"})
        >>> len(pages), pages.pages_with("save"), pages.snippet("manual#2", "load", 14)
        (2, 2, 'Loading a')
        """
        tokenizer = tokenizer or default_tokenizer()
        return cls(_batch(texts), PageTerms.of(texts.values(), tokenizer), tokenizer)

    @classmethod
    def open(cls, folder: Path, terms: PageTerms | None = None) -> PageTexts:
        """The pages of an index folder, memory-mapped; ``terms`` are given where the folder has no vocabulary file."""
        with pa.ipc.open_file(pa.memory_map(str(folder / TEXTS))) as reader:
            texts = reader.get_batch(0)
        return cls(texts, terms or PageTerms.open(folder), read_tokenizer(folder))

    def __len__(self) -> int:
        return len(self.page_ids)

    def __contains__(self, page_id: object) -> bool:
        return page_id in self._rows

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
        wanted, weights = self._query_terms(query)
        starts, terms = self.terms.matches(row, wanted)
        matches = [(term, weights[term]) for term in terms]
        return fitting_snippet(str(self._texts[row].as_py()), starts, matches, max_chars)

    def query_terms(self, query: str) -> list[str]:
        """The terms of a query, normalised as the pages' texts are, in order, repeats kept."""
        return self.tokenizer.terms(clean_text(query))

    def pages_with(self, term: str) -> int:
        """How many pages hold a term, as the tokenizer makes terms."""
        term_id = self.terms.vocabulary.get(term)
        return 0 if term_id is None else int(self.terms.holding[term_id])

    def row(self, page_id: str) -> int:
        """The place of a page in page order, 0-based. Raises ``InputError`` for a page that is not in the index."""
        try:
            return self._rows[page_id]
        except KeyError:
            raise InputError(f"page {page_id!r} is not in the index; was it left out of the pool?") from None

    def rows(self, page_ids: Collection[str]) -> list[int]:
        """The places of some pages. Raises ``InputError`` for a page that is not in the index."""
        return [self.row(page_id) for page_id in page_ids]

    def rows_of(self, document: str) -> npt.NDArray[np.int64]:
        """The places of a document's pages, rising. Raises ``InputError`` for a document that is not in the index."""
        try:
            return self._documents[document]
        except KeyError:
            raise InputError(f"document {document!r} has no page in the index") from None

    @cached_property
    def _documents(self) -> dict[str, npt.NDArray[np.int64]]:
        rows: dict[str, list[int]] = defaultdict(list)
        for row, page_id in enumerate(self.page_ids):
            rows[page_id.rpartition("#")[0]].append(row)
        return {document: np.array(places, dtype=np.int64) for document, places in rows.items()}

    def _weighted_terms(self, query: str) -> tuple[npt.NDArray[np.int32], dict[int, float]]:
        """The ids of a query's terms that some page holds, and the weight of each."""
        vocabulary = self.terms.vocabulary
        term_ids = [vocabulary[term] for term in self.query_terms(query) if term in vocabulary]
        weights = {term_id: self.terms.weight(term_id) for term_id in term_ids}
        return np.fromiter(weights, np.int32, len(weights)), weights


def write_texts(folder: Path, texts: Mapping[str, str], tokenizer: Tokenizer) -> None:
    """Write the pages of an index folder for :meth:`PageTexts.open`; the same pages give the same files."""
    PageTerms.of(texts.values(), tokenizer).save(folder)
    table = _batch(texts)
    with pa.OSFile(str(folder / TEXTS), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_batch(table)
    write_tokenizer(folder, tokenizer)


def _batch(texts: Mapping[str, str]) -> pa.RecordBatch:
    columns = [pa.array(list(texts), pa.large_string()), pa.array(list(texts.values()), pa.large_string())]
    return pa.record_batch(columns, names=["page_id", "text"])
