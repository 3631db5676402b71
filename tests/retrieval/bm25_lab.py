"""BM25 of small corpora: in a folder as an index has it, and by bm25s or from scratch, to compare with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import bm25s
import numpy as np
from hypothesis import strategies as st

from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.page_store import write_page_store
from drag_rl.retrieval.sparse.bm25 import Bm25, write_bm25
from drag_rl.retrieval.sparse.formula import Formula
from drag_rl.retrieval.tokenizer import Tokenizer

WORDS = ("save", "file", "graph", "fox", "tree", "page", "rotor", "brake")
texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), min_size=1, max_size=14).filter(
    any
)
queries = st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=6).map(" ".join)
formulas = st.builds(
    Formula,
    method=st.sampled_from(["lucene", "robertson", "atire"]),
    k1=st.one_of(st.just(0.0), st.floats(0.1, 3)),
    b=st.floats(0, 1),
)


@contextmanager
def bm25_of(
    texts: Sequence[str],
    formula: Formula | None = None,
    passage_tokens: int = 0,
) -> Iterator[Bm25]:
    """BM25 of pages ``a#1``, ``a#2`` ...; their words are their terms."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbered = ((f"a#{number}", text) for number, text in enumerate(texts, start=1))
        write_page_store(folder, numbered, Tokenizer(stemmer="none"))
        pages = PageTexts.open(folder)
        write_bm25(folder / "bm25", pages, formula or Formula(), passage_tokens)
        yield Bm25(folder / "bm25", pages)


def bm25s_scores(units: Sequence[Sequence[str]], query: str, formula: Formula) -> np.ndarray:
    """What bm25s gives each unit, a list of terms."""
    vocabulary = {term: number for number, term in enumerate(sorted({*chain.from_iterable(units)}))}
    peer = bm25s.BM25(k1=formula.k1, b=formula.b, method=formula.method, backend="numpy")
    ids = [[vocabulary[term] for term in unit] for unit in units]
    peer.index((ids, vocabulary), create_empty_token=False, show_progress=False)
    wanted = [vocabulary[term] for term in query.split() if term in vocabulary]
    return peer.get_scores_from_ids(wanted) if wanted else np.zeros(len(units), dtype=np.float32)


def ranked(scores: Sequence[float]) -> list[int]:
    """The rows that score above 0, best first, equal scores in row order."""
    return sorted((row for row, score in enumerate(scores) if score > 0), key=lambda row: (-scores[row], row))
