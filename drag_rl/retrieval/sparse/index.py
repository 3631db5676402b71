"""A search index over pages: hits, snippets and the exact rank of any page, from one memory-mapped folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.index_folder import BM25_FOLDER, check_corpus, check_files, check_words, read_tokenizer
from drag_rl.retrieval.page_texts import TextStore
from drag_rl.retrieval.snippet import best_window, cut_snippet
from drag_rl.retrieval.sparse.bm25 import Bm25
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
    """BM25 over the pages of a corpus; reads only, safe to share between threads.

    Equal scores rank in page order, so ranks are whole numbers without ties and hits agree with ranks.
    """

    def __init__(self, manifest: Manifest, bm25: Bm25, texts: TextStore, tokenizer: Tokenizer) -> None:
        self.manifest = manifest
        self._bm25 = bm25
        self._texts = texts
        self._tokenizer = tokenizer
        self._rows = {page_id: row for row, page_id in enumerate(texts.page_ids)}

    @classmethod
    def load(cls, index_dir: Path, pages_dir: Path | None = None) -> SearchIndex:
        """Open an index after checking its files and, given ``pages_dir``, that it was made from those pages.

        Raises ``InputError`` for an index that is missing, unfinished, truncated, changed or of other pages.
        """
        index_dir = Path(index_dir)
        manifest = check_files(index_dir)
        if pages_dir is not None:
            check_corpus(index_dir, manifest, Path(pages_dir))
        bm25 = Bm25(index_dir / BM25_FOLDER)
        check_words(index_dir, manifest, bm25.terms())
        return cls(manifest, bm25, TextStore(index_dir), read_tokenizer(index_dir))

    def __len__(self) -> int:
        return len(self.page_ids)

    def __contains__(self, page_id: object) -> bool:
        return page_id in self._rows

    @property
    def page_ids(self) -> tuple[str, ...]:
        """Every page that can be found, in page order."""
        return self._texts.page_ids

    @property
    def tokenizer(self) -> Tokenizer:
        """How pages and queries become terms."""
        return self._tokenizer

    def pages_with(self, term: str) -> int:
        """How many pages hold a term, as the tokenizer makes them."""
        return sum(self._bm25.pages_with(term_id) for term_id in self._bm25.term_ids([term]))

    def page(self, page_id: str) -> str:
        """The text of a page; raises ``InputError`` for a page that is not in the index."""
        return self._texts.text(self._row(page_id))

    def search(
        self,
        query: str,
        top_k: int,
        gold_page_ids: Sequence[str] = (),
        *,
        snippet_chars: int = 400,
        without: Collection[str] = (),
    ) -> SearchResult:
        """The best ``top_k`` pages for ``query`` and the exact rank of each page of ``gold_page_ids``.

        The query is normalised as the pages' texts are; without a term that some page holds it has no hits.
        ``snippet_chars`` bounds each hit's snippet; 0 means no snippets. Pages of ``without`` are neither
        listed nor counted in ``gold_ranks``.
        Raises ``InputError`` for a page to find or to leave out that is not in the index.
        """
        gold_rows = [self._row(page_id) for page_id in gold_page_ids]
        hidden = [self._row(page_id) for page_id in without]
        term_ids = self._bm25.term_ids(self._tokenizer.terms(clean_text(query)))
        if not term_ids:
            unranked = (None,) * len(gold_rows)
            return SearchResult(hits=(), gold_ranks=unranked, corpus_ranks=unranked)
        scores = self._bm25.scores(term_ids)
        corpus_ranks = tuple(rank_of(scores, row) for row in gold_rows)
        scores[hidden] = 0
        weights = {term: self._bm25.weight(term) for term in term_ids}
        hits = tuple(
            Hit(
                page_id=self.page_ids[row],
                rank=rank,
                score=float(scores[row]),
                snippet=self._snippet(row, weights, snippet_chars),
            )
            for rank, row in enumerate(top_rows(scores, top_k), start=1)
        )
        gold_ranks = tuple(rank_of(scores, row) for row in gold_rows) if hidden else corpus_ranks
        return SearchResult(hits=hits, gold_ranks=gold_ranks, corpus_ranks=corpus_ranks)

    def _row(self, page_id: str) -> int:
        try:
            return self._rows[page_id]
        except KeyError:
            raise InputError(f"page {page_id!r} is not in the index; was it left out of the pool?") from None

    def _snippet(self, row: int, weights: dict[int, float], snippet_chars: int) -> str:
        if snippet_chars <= 0:
            return ""
        starts, terms = self._texts.matches(row, np.fromiter(weights, np.int32, len(weights)))
        first, last = best_window(starts, [(term, weights[term]) for term in terms], snippet_chars * 4 // 5)
        return cut_snippet(self._texts.text(row), starts[first], starts[last], snippet_chars)


def top_rows(scores: npt.NDArray[np.float32], top_k: int) -> list[int]:
    """The rows of the ``top_k`` best scores above 0, best first, equal scores in row order.

    >>> top_rows(np.array([0.0, 2.0, 5.0, 2.0, 2.0], dtype=np.float32), 3)
    [2, 1, 3]
    """
    if top_k <= 0:
        return []
    if top_k < len(scores):
        floor = np.partition(scores, -top_k)[-top_k]
        rows = np.flatnonzero((scores >= floor) & (scores > 0))
    else:
        rows = np.flatnonzero(scores > 0)
    order = np.argsort(-scores[rows], kind="stable")
    best: list[int] = rows[order[:top_k]].tolist()
    return best


def rank_of(scores: npt.NDArray[np.float32], row: int) -> int | None:
    """The 1-based rank of a row among all scores, equal scores in row order; None for a score of 0.

    >>> [rank_of(np.array([0.0, 2.0, 5.0, 2.0], dtype=np.float32), row) for row in range(4)]
    [None, 2, 1, 3]
    """
    score = scores[row]
    if score <= 0:
        return None
    return int(1 + np.count_nonzero(scores > score) + np.count_nonzero(scores[:row] == score))
