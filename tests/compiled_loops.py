"""Every loop of ours that numba compiles, called once with the types that indexes have."""

from __future__ import annotations

import tempfile
from pathlib import Path

from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.page_store import write_page_store
from drag_rl.retrieval.sparse.bm25 import Bm25, Wanted, write_bm25
from drag_rl.retrieval.sparse.formula import Formula
from drag_rl.retrieval.tokenizer import Tokenizer


def compile_all() -> None:
    """Takes some seconds where they have never been called, some tenths of a second elsewhere."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_page_store(folder, [("a#1", "fox"), ("a#2", "fox fox")], Tokenizer(stemmer="none"))
        pages = PageTexts.open(folder)
        for passage_tokens in (0, 100):
            place = folder / str(passage_tokens)
            write_bm25(place, pages, Formula(), passage_tokens)
            Bm25(place, pages).search([Wanted(text="fox", top_k=1)])
        for each in (pages, PageTexts.of({"a#2": "fox fox"})):  # mapped arrays are read-only: another type
            each.snippet("a#2", "fox", 20)
