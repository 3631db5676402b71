"""Every loop of ours that numba compiles, called once with the types that indexes have."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.late.opening import scorer_for
from drag_rl.retrieval.late.scorer import CpuScorer
from drag_rl.retrieval.late.store import Store, write_store
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
        compile_late(folder / "late")
        for each in (pages, PageTexts.of({"a#2": "fox fox"})):  # mapped arrays are read-only: another type
            each.snippet("a#2", "fox", 20)


def compile_late(folder: Path) -> None:
    """The loops over the mapped vectors of page images."""
    folder.mkdir()
    write_store(folder, np.array([1, 2]), [np.ones((3, 128), np.uint16)], 128, binary=True)
    query = np.ones((2, 128), np.float32)
    for look in ("hamming", "asymmetric"):
        scorer = CpuScorer(Store.open(folder, 2), look)
        scorer.first_look(query, np.arange(2))
    scorer.maxsim(query, np.arange(2))
    scorer_for(Store.open(folder, 2), "hamming").maxsim(query, np.arange(2))
