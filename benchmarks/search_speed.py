"""How long a bm25 search takes by what it has to do: ranks, snippets, 64 callers; raw bm25s searches the same terms.

    python benchmarks/search_speed.py data/pages 4000 100000

The pages are resampled as `scale.py` does it. A query is eight longer words of a page; each search asks new ones. Both
sides make terms of its text. bm25s, with its default backend and with numba's, gives the three best pages; so do we,
and where the table says so the exact ranks of two pages at any depth and the snippets of the hits. All take turns, so
that a busy machine slows all alike: read the ratios, which are the time of bm25s with its default backend by the row's.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import bm25s
import Stemmer
from rich.console import Console
from rich.table import Table
from scale import build, corpus

from drag_rl.retrieval import PageTexts, Query, Retriever, open_retriever

QUERIES, WORDS, LETTERS, ROUNDS, TOP_K, SNIPPET_CHARS = 500, 8, 3, 5, 3, 400
OURS = [
    (callers, rank, snippets) for callers in (1, 64) for rank in (False, True) for snippets in (False, True)
]

Asked = Sequence[tuple[str, tuple[str, str]]]
"""Texts of queries, and two pages whose rank is wanted of each."""


def main(pages_dir: Path, sizes: Sequence[int]) -> None:
    """Print the table."""
    table = Table("pages", "search", "callers", "queries/s", "ratio", "CPU ratio")
    for size in sizes:
        with tempfile.TemporaryDirectory() as work:
            corpus(pages_dir, Path(work) / "pages", size, 0)
            build(Path(work) / "pages", Path(work) / "index")
            for cells in _rows(Path(work) / "index"):
                table.add_row(f"{size:,}", *cells)
        table.add_section()
    Console().print(table)


def _rows(index: Path) -> list[list[str]]:
    """The cells of an index's rows."""
    retriever = open_retriever(index)
    draw = _drawing(retriever.pages)
    searches: dict[tuple[str, int], Callable[[Asked], None]] = {
        ("raw bm25s", 1): _raw(retriever.pages, "numpy"),
        ("raw bm25s, numba", 1): _raw(retriever.pages, "numba"),
    }
    for callers, rank, snippets in OURS:
        name = "ours" + ", ranks" * rank + ", snippets" * snippets
        searches[name, callers] = partial(_ours, retriever, callers, rank, snippets)
    for search in searches.values():
        search(draw())
    rounds = [{name: _timed(search, draw()) for name, search in searches.items()} for _ in range(ROUNDS)]
    rows = []
    for name, callers in searches:
        pairs = [(of_round["raw bm25s", 1], of_round[name, callers]) for of_round in rounds]
        ratios = [median(raw[clock] / own[clock] for raw, own in pairs) for clock in (0, 1)]
        rate = QUERIES / median(own[0] for _, own in pairs)
        rows.append([name, str(callers), f"{rate:,.0f}", *(f"{ratio:.2f}" for ratio in ratios)])
    return rows


def _drawing(pages: PageTexts) -> Callable[[], Asked]:
    """What gives new queries at each call."""
    draw = random.Random(0)
    words = [
        [word for word in pages.text(page_id).split() if len(word) > LETTERS] for page_id in pages.page_ids
    ]
    texts = [of_page for of_page in words if len(of_page) >= WORDS]

    def drawn() -> Asked:
        return [
            (
                " ".join(draw.sample(draw.choice(texts), WORDS)),
                (draw.choice(pages.page_ids), draw.choice(pages.page_ids)),
            )
            for _ in range(QUERIES)
        ]

    return drawn


def _raw(pages: PageTexts, backend: str) -> Callable[[Asked], None]:
    """Searching the same terms with bm25s as its documentation does."""
    peer = bm25s.BM25(backend=backend)
    ids = [pages.terms.of_page(row)[0].tolist() for row in range(len(pages))]
    peer.index((ids, dict(pages.terms.vocabulary)), create_empty_token=False, show_progress=False)
    stemmer = Stemmer.Stemmer("english")

    def search(asked: Asked) -> None:
        for text, _ in asked:
            terms = bm25s.tokenize(
                [text], stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False
            )
            peer.retrieve(terms, k=TOP_K, show_progress=False)

    return search


def _ours(retriever: Retriever, callers: int, rank: bool, snippets: bool, asked: Asked) -> None:
    async def caller(first: int) -> None:
        for text, pages in asked[first::callers]:
            (ranking,) = await retriever.search([Query(text=text, track=pages if rank else ())], TOP_K)
            for hit in ranking.hits if snippets else ():
                retriever.pages.snippet(hit.page_id, text, SNIPPET_CHARS)

    async def together() -> None:
        await asyncio.gather(*map(caller, range(callers)))

    asyncio.run(together())


def _timed(search: Callable[[Asked], None], asked: Asked) -> tuple[float, float]:
    """Seconds (wall clock, CPU)."""
    wall, cpu = perf_counter(), process_time()
    search(asked)
    return perf_counter() - wall, process_time() - cpu


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]] or [4000, 100_000])
