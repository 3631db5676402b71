"""The BM25 index: its options, its files and its retriever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, get_args

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.base import Query
from drag_rl.retrieval.index_folder import check_corpus, check_files, check_words
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.page_terms import VOCABULARY_FILES, PageTerms
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sparse.bm25 import Bm25, Method, write_bm25
from drag_rl.retrieval.sparse.retriever import Bm25Retriever
from drag_rl.retrieval.stopwords import STOPWORDS
from drag_rl.retrieval.tokenizer import Tokenizer
from drag_rl.types import Hit

BM25_FOLDER = "bm25"


@dataclass(frozen=True, kw_only=True)
class Bm25Index(IndexKind):
    """The options of ``drag index --kind bm25``. Raises ``InputError`` for values out of range."""

    packages: ClassVar[tuple[str, ...]] = ("bm25s",)
    stemmer: Annotated[str, "none, or a Snowball language: english, german, ..."] = "english"
    stopwords: Annotated[str, "none, or a language code: en, de, ..."] = "en"
    k1: Annotated[float, "BM25 term-frequency saturation, 0 or more."] = 1.5
    b: Annotated[float, "BM25 length normalisation, 0 to 1."] = 0.75
    method: Annotated[Method, "BM25 variant."] = "lucene"

    def __post_init__(self) -> None:
        if self.stopwords not in STOPWORDS:
            raise InputError(f"--stopwords {self.stopwords!r} is not known; choose {', '.join(STOPWORDS)}")
        if self.method not in get_args(Method):
            raise InputError(f"--method {self.method!r} is not known; choose {', '.join(get_args(Method))}")
        if not (0 <= self.k1 < float("inf") and 0 <= self.b <= 1):
            raise InputError(f"--k1 must be at least 0 and --b between 0 and 1, not {self.k1} and {self.b}")
        Tokenizer(stemmer=self.stemmer)  # refuses an unknown one

    @property
    def tokenizer(self) -> Tokenizer:
        """How texts become the terms that are searched."""
        return Tokenizer(stemmer=self.stemmer, stopwords=STOPWORDS[self.stopwords])

    def write(self, folder: Path, pages: PageTexts) -> None:
        """Write the score of every (page, term) pair. Raises ``InputError`` for pages without any term."""
        if not pages.terms.vocabulary:
            raise InputError("no page has a word to index; do the PDFs need drag ingest --ocr force?")
        write_bm25(folder / BM25_FOLDER, pages.terms, k1=self.k1, b=self.b, method=self.method)
        for name in VOCABULARY_FILES:  # bm25s keeps the same in files of its own
            (folder / name).unlink()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Bm25Retriever:
        """The retriever of a folder."""
        bm25 = Bm25(folder / BM25_FOLDER)
        terms = PageTerms.open(folder, bm25.vocabulary, bm25.holding())
        return Bm25Retriever(bm25, PageTexts.open(folder, terms), manifest.fingerprint)


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
        self.retriever = Bm25Index.open(index_dir, self.manifest)
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
