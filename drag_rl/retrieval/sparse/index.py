"""The BM25 index: its options, its files and its retriever."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, get_args

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sparse.bm25 import Bm25, write_bm25
from drag_rl.retrieval.sparse.formula import Formula, Method
from drag_rl.retrieval.sparse.retriever import Bm25Retriever
from drag_rl.retrieval.stopwords import STOPWORDS
from drag_rl.retrieval.tokenizer import Tokenizer

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
    passage_tokens: Annotated[
        int, "Longest passage, in terms (bm25) or tokens; a page by its best passage. 0: as long as can be."
    ] = 0

    def __post_init__(self) -> None:
        if self.stopwords not in STOPWORDS:
            raise InputError(f"--stopwords {self.stopwords!r} is not known; choose {', '.join(STOPWORDS)}")
        if self.method not in get_args(Method):
            raise InputError(f"--method {self.method!r} is not known; choose {', '.join(get_args(Method))}")
        if not (0 <= self.k1 < float("inf") and 0 <= self.b <= 1):
            raise InputError(f"--k1 must be at least 0 and --b between 0 and 1, not {self.k1} and {self.b}")
        if self.passage_tokens < 0:
            raise InputError(f"--passage-tokens must be 0 or more, not {self.passage_tokens}")
        Tokenizer(stemmer=self.stemmer)  # refuses an unknown one

    @property
    def tokenizer(self) -> Tokenizer:
        """How texts become the terms that are searched."""
        return Tokenizer(stemmer=self.stemmer, stopwords=STOPWORDS[self.stopwords])

    @property
    def formula(self) -> Formula:
        """How pages are scored."""
        return Formula(method=self.method, k1=self.k1, b=self.b)

    def write(self, folder: Path, pages: PageTexts) -> None:
        """Write which pages or passages hold each term. Raises ``InputError`` for pages without any term."""
        check_words(pages)
        write_bm25(folder / BM25_FOLDER, pages, self.formula, self.passage_tokens)

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Retriever:
        """The retriever of a folder."""
        return Bm25Retriever(Bm25(folder / BM25_FOLDER, PageTexts.open(folder)), manifest.fingerprint)


def check_words(pages: PageTexts) -> None:
    """Raise ``InputError`` for pages without any term."""
    if not pages.terms.vocabulary:
        raise InputError("no page has a word to index; do the PDFs need drag ingest --ocr force?")
