"""Indexes to put together: in memory, and in folders of the same pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tiny_corpus import write_pages
from toy_retriever import ToyRetriever, embedded

from drag_rl.retrieval import PageTexts, build_index

TEXTS = [
    "save the workspace to a file",
    "install a package",
    "the graph of a package",
    "save save graph",
    "vector of files",
    "nothing of the kind",
]


def toy(texts: Mapping[str, str], dimensions: int) -> ToyRetriever:
    """A retriever of pages; fewer dimensions put more words together. It ranks 50 pages and no more."""
    pages = PageTexts.of(texts)
    rows = [embedded(pages.query_terms(text), dimensions) for text in texts.values()]
    return ToyRetriever(pages, np.stack(rows), f"toy of {dimensions} and {sorted(texts.items())}")


def make_world(folder: Path) -> Path:
    """``folder/pages`` of TEXTS, and two indexes of them, ``words`` and ``other``."""
    write_pages(folder / "pages", TEXTS)
    build_index(folder / "pages", folder / "words")
    build_index(folder / "pages", folder / "other", stemmer="none", k1=0.2)
    return folder
