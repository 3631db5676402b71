"""What late interaction costs: scoring candidates, searching all pages, storing them, and what bits alone would miss.

    python benchmarks/late.py                             made-up vectors of 1,000, 3,000 and 10,000 pages
    python benchmarks/late.py 1000                        of other numbers of pages
    python benchmarks/late.py INDEX QUESTIONS.parquet     the pages of a late index, by the vectors of its own model

Of made-up vectors: 100 candidates of 768 vectors for a query of 24, as a page without pooling has them, by our loops,
by numpy page by page, and by the scorers of sentence-transformers and colpali-engine, in float32 and in bfloat16; a
ratio is to numpy in float32, above 1 for what is faster. Then all pages, of 256 vectors each, as pooling leaves them.
Everything takes all CPUs that it may use, torch and numpy unless OMP_NUM_THREADS says otherwise; `taskset -c 0` before
the command compares them on one.

Of an index: how many of the exact best 10 pages are found where so many pages are rescored for each, and how long a
query takes then, without the model. Vectors of models lie closer together than random ones: only this table tells what
bits are worth on pages like yours.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

WIDTH, TOKENS, CANDIDATES, CORPUS, VECTORS, POOLED = 128, 24, 100, 400, 768, 256
ROUNDS = 7
RATIOS = (1, 2, 5, 10, 20, 50)
BEST = 10

Vectors = npt.NDArray[np.float32]
Run = Callable[[], Any]


def timed(runs: Mapping[str, Run], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds of each, the median of rounds in which they take turns."""
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = perf_counter()
            run()
            taken[name].append(1e3 * (perf_counter() - began))
    return {name: median(times) for name, times in taken.items()}


def made_up(count: int, seed: int = 0) -> Vectors:
    """Vectors of length 1, of random directions."""
    vectors = np.random.default_rng(seed).standard_normal((count, WIDTH), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def stored(folder: Path, vectors: Vectors, pages: int) -> Any:
    """The mapped store of pages of equally many vectors."""
    from drag_rl.retrieval.late.quantisation import to_bfloat16
    from drag_rl.retrieval.late.store import Store, write_store

    folder.mkdir()
    counts = np.full(pages, len(vectors) // pages)
    write_store(folder, counts, map(to_bfloat16, np.array_split(vectors, 16)), WIDTH, binary=True)
    return Store.open(folder, pages)


def candidates_table(work: Path) -> None:
    """Time what scores candidates."""
    import torch
    from colpali_engine.utils.processing_utils import BaseVisualRetrieverProcessor
    from sentence_transformers.util import maxsim

    from drag_rl.retrieval.late.opening import scorer_for

    vectors, query = made_up(CORPUS * VECTORS), made_up(TOKENS, 1)
    store = stored(work / "candidates", vectors, CORPUS)
    rows = np.random.default_rng(2).permutation(CORPUS)[:CANDIDATES]
    pages = [vectors[row * VECTORS : (row + 1) * VECTORS] for row in rows]
    hamming, asymmetric = scorer_for(store, "hamming"), scorer_for(store, "asymmetric")
    runs: dict[str, Run] = {
        "numpy, float32": partial(_by_numpy, query, pages),
        "ours, bfloat16": partial(hamming.maxsim, query, rows),
        "ours, Hamming": partial(hamming.first_look, query, rows),
        "ours, asymmetric": partial(asymmetric.first_look, query, rows),
    }
    score = BaseVisualRetrieverProcessor.score_multi_vector
    for name in ("float32", "bfloat16"):
        asked = torch.from_numpy(query).to(getattr(torch, name))
        seen = [torch.from_numpy(page).to(getattr(torch, name)) for page in pages]
        runs[f"sentence-transformers, {name}"] = partial(maxsim, [asked], seen)
        runs[f"colpali-engine, {name}"] = partial(score, [asked], seen, device="cpu")
    times = timed(runs)
    base = times["numpy, float32"]
    rows_of = [[name, f"{took:.2f}", f"{base / took:.1f}"] for name, took in times.items()]
    print_table(
        f"{CANDIDATES} candidates, {TOKENS} x {VECTORS} vectors", ("scored by", "ms", "ratio"), rows_of
    )


def corpus_table(work: Path, sizes: list[int]) -> None:
    """Time the search of all pages, and weigh what it takes on disk."""
    from drag_rl.retrieval.late.finder import LateFinder
    from drag_rl.retrieval.late.opening import scorer_for

    query, lines = made_up(TOKENS, 1), []
    for pages in sizes:
        vectors = made_up(pages * POOLED)
        store = stored(work / str(pages), vectors, pages)
        rows = np.arange(pages)
        hamming, asymmetric = scorer_for(store, "hamming"), scorer_for(store, "asymmetric")
        finders = {
            name: LateFinder(store, hamming, rescored) for name, rescored in (("two", 100), ("exact", None))
        }
        runs: dict[str, Run] = {
            "numpy": partial(_by_numpy, query, np.split(vectors, pages)),
            "hamming": partial(hamming.first_look, query, rows),
            "asymmetric": partial(asymmetric.first_look, query, rows),
            **{name: partial(_best, finder, query) for name, finder in finders.items()},
        }
        times = timed(runs, 5)
        ratio = times["numpy"] / times["hamming"]
        sizes_mb = [f"{size / 1e6:.1f}" for size in (vectors.nbytes, store.vectors.nbytes, store.bits.nbytes)]
        lines.append([f"{pages:,}", *(f"{took:.1f}" for took in times.values()), f"{ratio:.1f}", *sizes_mb])
    columns = (
        "pages",
        "numpy, ms",
        "Hamming",
        "asymmetric",
        "Hamming, then 100",
        "all bfloat16",
        "numpy / Hamming",
        "float32, MB",
        "bfloat16",
        "bits",
    )
    print_table(f"all pages, {TOKENS} x {POOLED} vectors", columns, lines)


def recall_table(index_dir: Path, questions: Path) -> None:
    """What is found of the exact best, by how many pages are rescored."""
    from drag_rl.questions import read_questions
    from drag_rl.retrieval import open_retriever
    from drag_rl.retrieval.late.opening import scorer_for
    from drag_rl.retrieval.late.retriever import LateRetriever
    from drag_rl.retrieval.late.scorer import FirstLook
    from drag_rl.retrieval.late.store import Store
    from drag_rl.retrieval.scored_pages import top_rows
    from drag_rl.retrieval.within import NOT_RANKED

    retriever = open_retriever(index_dir)
    if not isinstance(retriever, LateRetriever):
        sys.exit(f"{index_dir}: is no late index")
    texts = [question.text for question in read_questions(questions)]
    queries = retriever.encode_queries(texts)
    store = Store.open(index_dir, len(retriever.pages))
    every = np.arange(len(store))
    scorer = scorer_for(store, "hamming")
    exact = [top_rows(scorer.maxsim(query, every), BEST, NOT_RANKED) for query in queries]
    lines = []
    for look in get_args(FirstLook):
        scorer = scorer_for(store, look)
        for ratio in RATIOS:
            began, found = perf_counter(), []
            for query in queries:
                rows = np.array(top_rows(scorer.first_look(query, every), ratio * BEST, NOT_RANKED))
                found.append(rows[top_rows(scorer.maxsim(query, rows), BEST, NOT_RANKED)].tolist())
            took = 1e3 * (perf_counter() - began) / len(queries)
            shares = [len({*one} & {*other}) / len(other) for one, other in zip(found, exact, strict=True)]
            lines.append([look, str(ratio), str(ratio * BEST), f"{np.mean(shares):.4f}", f"{took:.2f}"])
    title = f"{len(retriever.pages):,} pages, {len(store.vectors):,} vectors, {len(texts)} questions"
    print_table(title, ("first look", "ratio", "rescored", f"recall@{BEST}", "ms a query"), lines)


def _by_numpy(query: Vectors, pages: list[Vectors]) -> list[float]:
    return [(query @ page.T).max(axis=1).sum() for page in pages]


def _best(finder: Any, query: Vectors) -> list[tuple[int, float]]:
    ranked, _ = finder.found(query)(None, BEST)
    best: list[tuple[int, float]] = ranked.best(BEST)
    return best


def print_table(title: str, columns: tuple[str, ...], lines: list[list[str]]) -> None:
    """Print a title and a table."""
    from rich.table import Table

    from drag_rl.console import table_console

    table = Table(*columns)
    for line in lines:
        table.add_row(*line)
    console = table_console()
    console.print(title)
    console.print(table)


if __name__ == "__main__":
    words = sys.argv[1:]
    if "-h" in words or "--help" in words:
        sys.exit(__doc__)
    if len(words) == 2 and Path(words[0]).is_dir():
        recall_table(Path(words[0]), Path(words[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            candidates_table(Path(folder))
            corpus_table(Path(folder), [int(word) for word in words] or [1_000, 3_000, 10_000])
