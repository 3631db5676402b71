"""A retriever of an installed package: embeds pages by hashing their words, and ranks the best 50 pages only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zlib import crc32

import numpy as np

from drag_rl.retrieval import IndexKind, PageTexts, Query, Ranking, check_top_k
from drag_rl.types import Hit

EXACT_TO = 50


@dataclass(frozen=True)
class ToyRetriever:
    pages: PageTexts
    vectors: np.ndarray
    fingerprint: str

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        check_top_k(top_k)
        return await asyncio.to_thread(lambda: [self._ranking(query, top_k) for query in queries])

    def _ranking(self, query: Query, top_k: int) -> Ranking:
        rows = range(len(self.pages)) if query.scope is None else self.pages.rows_of(query.scope)
        left_out = set(self.pages.rows(query.without))
        scores_D = self.vectors @ embedded(self.pages.query_terms(query.text), self.vectors.shape[1])
        found = [row for row in rows if scores_D[row] > 0 and row not in left_out]
        ranked = sorted(found, key=lambda row: (-scores_D[row], row))[:EXACT_TO]
        hits = [
            Hit(page_id=self.pages.page_ids[row], rank=rank, score=float(scores_D[row]))
            for rank, row in enumerate(ranked, start=1)
        ]
        ranks = {row: rank for rank, row in enumerate(ranked, start=1)}
        tracked = tuple(ranks.get(row) for row in self.pages.rows(query.track))
        return Ranking(hits=tuple(hits[:top_k]), tracked=tracked, exact_to=EXACT_TO)


@dataclass(frozen=True, kw_only=True)
class ToyIndex(IndexKind):
    dimensions: Annotated[int, "Length of a vector."] = 64

    def write(self, folder: Path, pages: PageTexts) -> None:
        terms = (pages.query_terms(pages.text(page_id)) for page_id in pages.page_ids)
        np.save(folder / "vectors.npy", np.stack([embedded(of_page, self.dimensions) for of_page in terms]))

    @classmethod
    def open(cls, folder, manifest):
        return ToyRetriever(PageTexts.open(folder), np.load(folder / "vectors.npy"), manifest.fingerprint)


def embedded(terms: Iterable[str], dimensions: int) -> np.ndarray:
    counts_V = np.zeros(dimensions)
    for term in terms:
        counts_V[crc32(term.encode()) % dimensions] += 1
    return counts_V / max(1.0, float(np.linalg.norm(counts_V)))


def installed_in(folder: Path) -> str:
    """Install the package ``toy``, version 0, whose kind of index is ``toy``; returns a PYTHONPATH that has it."""
    about = folder / "toy-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 0\n")
    (about / "entry_points.txt").write_text("[drag_rl.retrievers]\ntoy = toy_retriever:ToyIndex\n")
    here = Path(__file__).parent
    return os.pathsep.join(map(str, (folder, here, here.parent, os.environ.get("PYTHONPATH", ""))))
