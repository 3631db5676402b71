"""Building an INDEX_DIR from a PAGES_DIR: all or nothing, and nothing twice."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.pool import read_left_out
from drag_rl.errors import InputError
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import Manifest, read_manifest, write_manifest
from drag_rl.retrieval.index_folder import (
    KIND,
    STAGE,
    WORD_RULE,
    WORD_RULE_NOW,
    check_files,
    corpus_inputs,
    fingerprint_files,
    kind_of,
)
from drag_rl.retrieval.page_texts import write_texts
from drag_rl.retrieval.sparse.bm25 import BM25_FOLDER, Method, build_bm25
from drag_rl.retrieval.stopwords import STOPWORDS
from drag_rl.retrieval.tokenizer import Tokenizer
from drag_rl.types import Page

KIND_NAME = "bm25"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """What shapes an index."""

    stemmer: str = "english"
    """A PyStemmer algorithm, or ``none``."""
    stopwords: str = "en"
    """A key of ``bm25.STOPWORDS``."""
    k1: float = 1.5
    """BM25's term-frequency saturation, >= 0."""
    b: float = 0.75
    """BM25's length normalisation, in [0, 1]."""
    method: Method = "lucene"


def build_index(pages_dir: Path, index_dir: Path, options: IndexOptions) -> tuple[Manifest, bool]:
    """Index every readable page of the pool; returns the manifest and whether anything had to be built.

    The folder is built beside ``index_dir`` and takes its place at the end; an index of the same pages and
    options is left as it is. Raises ``InputError``
    for bad options or pages, or if ``index_dir`` holds something else.
    """
    started = time.monotonic()
    if options.stopwords not in STOPWORDS:
        raise InputError(f"--stopwords {options.stopwords!r} is not known; choose {', '.join(STOPWORDS)}")
    tokenizer = Tokenizer(stemmer=options.stemmer, stopwords=STOPWORDS[options.stopwords])
    inputs = corpus_inputs(pages_dir)
    if (present := _same(index_dir, inputs, options)) is not None:
        return present, False
    pages = load_pages(pages_dir)
    left_out = read_left_out(pages_dir)
    indexed = [page for page in pages if page.status == "ok" and page.page_id not in left_out]
    if not indexed:
        raise InputError(f"{pages_dir}: no page to index: all failed or are left out of the pool")
    with new_folder(index_dir, STAGE) as folder:
        texts = {page.page_id: page.text for page in indexed}
        terms = write_texts(folder, texts, tokenizer, with_vocabulary=False)
        page_terms, vocabulary = terms.by_page(), dict(terms.vocabulary)
        build_bm25(
            folder / BM25_FOLDER, page_terms, vocabulary, k1=options.k1, b=options.b, method=options.method
        )
        files = fingerprint_files(folder)
        manifest = write_manifest(
            folder,
            stage=STAGE,
            fingerprint=hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest(),
            inputs=inputs,
            config=_settings(options) | {"files": files},
            counts=_counts(pages, left_out, page_terms) | {"terms": len(vocabulary)},
            seconds=time.monotonic() - started,
            packages=("bm25s", "PyStemmer", "numpy", "pyarrow"),
        )
    return manifest, True


def _counts(
    pages: Sequence[Page], left_out: Mapping[str, str], page_terms: Sequence[Sequence[int]]
) -> dict[str, int]:
    readable = (page.page_id for page in pages if page.status == "ok")
    reasons = Counter(left_out[page_id] for page_id in readable if page_id in left_out)
    return {
        "pages": len(pages),
        "pages_indexed": len(page_terms),
        "pages_without_text": sum(not terms for terms in page_terms),
        "pages_failed": sum(page.status == "failed" for page in pages),
    } | {f"pages_left_out_{reason}": count for reason, count in sorted(reasons.items())}


def _settings(options: IndexOptions) -> dict[str, Any]:
    return asdict(options) | {KIND: KIND_NAME, WORD_RULE: WORD_RULE_NOW}


def _same(index_dir: Path, inputs: dict[str, str], options: IndexOptions) -> Manifest | None:
    """The manifest of an index of the same pages and options that is there and whole, None without one."""
    try:
        present = read_manifest(index_dir)
        if present.inputs != inputs or any(
            (present.config | {KIND: kind_of(present)}).get(k) != v for k, v in _settings(options).items()
        ):
            return None
        return check_files(index_dir)
    except InputError:
        return None
