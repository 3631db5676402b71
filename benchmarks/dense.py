"""What approximate dense search finds, how fast it is, and what it takes to build: faiss behind our ranking, and numpy.

    python benchmarks/dense.py                    20,000 made-up vectors
    python benchmarks/dense.py 20000 100000       other numbers of them
    python benchmarks/dense.py INDEX/vectors.npy  those of a dense index, as an embedding model made them

Recall is of the exact best 10 and 100 pages. Queries a second are those of our search without the embedding model (the
best 100 of the 1,000 pages that it ranks), one query at a time and 64 at once; a ratio is to numpy's inner products of
the same vectors with a partial sort, in the same run. Made-up vectors lie around centres, and queries near a page, as
those of models do; how close is a guess, so look at the vectors of your own index.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, CENTRES, QUERIES, AT_ONCE, DEPTH = 384, 500, 256, 64, 100
NUMPY = "numpy, all"
OURS: dict[str, dict[str, Any]] = {
    "flat": {},
    "ivf": {"structure": "ivf"},
    "ivf, 1/64 of the lists": {"structure": "ivf", "probed": 64},
    "ivfpq": {"structure": "ivfpq"},
    "hnsw": {"structure": "hnsw"},
}

Vectors = npt.NDArray[np.float32]
Search = Callable[[Vectors], list[list[int]]]
"""Vectors of queries to the rows of their best pages, best first."""


def made_up(count: int) -> Vectors:
    """Vectors of length 1 around centres, more of them around some."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(CENTRES, WIDTH))
    of_each = draw.choice(CENTRES, count, p=draw.dirichlet(np.ones(CENTRES)))
    return _of_length_one(centres[of_each] + draw.normal(size=(count, WIDTH)))


def queries_near(vectors: Vectors) -> Vectors:
    """Queries that lie near some of the vectors, but not at them."""
    draw = np.random.default_rng(1)
    near = vectors[draw.choice(len(vectors), QUERIES)]
    return _of_length_one(near + draw.normal(size=near.shape) * 0.7 / np.sqrt(near.shape[1]))


def searches(vectors: Vectors, work: Path) -> dict[str, tuple[Search, float, int]]:
    """Each search, how long it took to build, in seconds, and what it takes on disk, in bytes."""
    from drag_rl.retrieval.dense.faiss_index import FaissIndex, FaissSettings, write_faiss
    from drag_rl.retrieval.dense.finders import Candidates, Finder, WholeCorpus
    from drag_rl.retrieval.dense.passage_scores import PassageScores
    from drag_rl.retrieval.dense.passages import Passages

    rows = np.arange(len(vectors), dtype=np.int32)
    passages = Passages(pages=rows, begins=np.zeros_like(rows), ends=np.zeros_like(rows), vectors=rows)
    scores = PassageScores(passages, vectors, len(vectors))

    def ours(finder: Finder) -> Search:
        return lambda queries: [
            [row for row, _ in within(None, DEPTH)[0].best(DEPTH)] for within in finder.found(queries)
        ]

    found: dict[str, tuple[Search, float, int]] = {NUMPY: (_numpy(vectors), 0.0, 0)}
    for number, (name, options) in enumerate(OURS.items()):
        if not options:
            found[name] = ours(WholeCorpus(scores)), 0.0, 0
            continue
        began, path = perf_counter(), work / f"{number}.faiss"
        settings = FaissSettings(structure=options["structure"])
        write_faiss(path, vectors, settings)
        took = perf_counter() - began
        nprobe = max(1, settings.lists(len(vectors)) // options["probed"]) if "probed" in options else 0
        index = FaissIndex(path, nprobe=nprobe, ef_search=128)
        finder = Candidates(index.nearest, passages, 1000, len(vectors), scores)
        found[name] = ours(finder), took, path.stat().st_size
    return found


def main(vectors: Vectors) -> None:
    """Print the table of some vectors."""
    from rich.table import Table

    from drag_rl.console import table_console

    queries = queries_near(vectors)
    table = Table(
        "search", "recall@10", "recall@100", "q/s, one", "q/s, 64", "ratio", "ratio", "build, s", "MB"
    )
    with tempfile.TemporaryDirectory() as work:
        every = searches(vectors, Path(work))
        exact, speeds = every[NUMPY][0](queries), {}
        for name, (search, took, size) in every.items():
            found = search(queries)
            speeds[name] = [_speed(search, queries, at_once) for at_once in (1, AT_ONCE)]
            recalls = [_recall(found, exact, depth) for depth in (10, DEPTH)]
            ratios = [own / base for own, base in zip(speeds[name], speeds[NUMPY], strict=True)]
            cells = [*(f"{recall:.3f}" for recall in recalls), *(f"{speed:,.0f}" for speed in speeds[name])]
            table.add_row(
                name, *cells, *(f"{ratio:.2f}" for ratio in ratios), f"{took:.1f}", f"{size / 1e6:.1f}"
            )
    console = table_console()
    console.print(f"{len(vectors):,} vectors of {vectors.shape[1]} numbers, {vectors.nbytes / 1e6:.1f} MB")
    console.print(table)


def _numpy(vectors: Vectors) -> Search:
    def search(queries: Vectors) -> list[list[int]]:
        scores = queries @ vectors.T
        best = np.argpartition(scores, -DEPTH, axis=1)[:, -DEPTH:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        rows: list[list[int]] = np.take_along_axis(best, order, axis=1).tolist()
        return rows

    return search


def _speed(search: Search, queries: Vectors, at_once: int) -> float:
    """Queries a second, of the quickest of three rounds."""
    asked = queries if at_once > 1 else queries[:AT_ONCE]
    seconds = []
    for _ in range(3):
        began = perf_counter()
        for begin in range(0, len(asked), at_once):
            search(asked[begin : begin + at_once])
        seconds.append(perf_counter() - began)
    return len(asked) / min(seconds)


def _recall(found: list[list[int]], exact: list[list[int]], depth: int) -> float:
    shares = [len({*one[:depth]} & {*other[:depth]}) / depth for one, other in zip(found, exact, strict=True)]
    return float(np.mean(shares))


def _of_length_one(vectors: npt.NDArray[Any]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / lengths, dtype=np.float32)


if __name__ == "__main__":
    for word in sys.argv[1:] or ["20000"]:
        if word in ("-h", "--help"):
            sys.exit(__doc__)
        main(made_up(int(word)) if word.isdecimal() else np.load(word).astype(np.float32))
