"""How long a search takes, in this version and in an older one: hits, exact ranks of two pages, and snippets.

    git worktree add ../older main
    python benchmarks/search_speed.py ../older

Both versions search the same index of made-up pages (words by Zipf's law), one caller after another and 64 at a time,
and must find the same. They take turns, so that a busy machine slows both alike; the table has the medians.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

ROOT = Path(__file__).parent.parent
SIZES = (4_000, 100_000)
ROUNDS, SEARCHES, CALLERS = 5, 640, 64
WORDS, PAGE_WORDS, TOP_K, SNIPPET_CHARS = 50_000, 100, 3, 400

Search = Callable[[str, frozenset[str], tuple[str, ...]], Awaitable[list[Any]]]
"""A query, pages to leave out and pages to track, to the hits and both kinds of ranks."""


def main(older: Path, sizes: Iterable[int] = SIZES) -> None:
    """Print the table; exits with 1 when the versions disagree on what is found."""
    from rich.console import Console
    from rich.table import Table

    table = Table("pages", "callers", "older, ms", "CPU ms", "this, ms", "CPU ms", "ratio", "CPU ratio")
    for size in sizes:
        with tempfile.TemporaryDirectory() as work:
            index = _index(Path(work), size)
            rounds = [[_measured(root, index) for root in (older, ROOT)] for _ in range(ROUNDS)]
        for one, other in rounds:
            if one.pop("found") != other.pop("found"):
                sys.exit(f"{size} pages: the versions do not find the same")
        for callers in rounds[0][0]:
            wall, cpu = (
                [median(pair[version][callers][clock] for pair in rounds) for version in (0, 1)]
                for clock in (0, 1)
            )
            cells = [wall[0], cpu[0], wall[1], cpu[1], wall[1] / wall[0], cpu[1] / cpu[0]]
            table.add_row(f"{size:,}", callers, *(f"{cell:.2f}" for cell in cells))
    Console().print(table)


def _index(work: Path, size: int) -> Path:
    from drag_rl.corpus.pages import write_pages
    from drag_rl.retrieval import build_index
    from drag_rl.types import Page

    draw = random.Random(0)
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    pages = (
        Page(
            page_id=f"book{number // 100:04}#{number % 100 + 1}",
            doc_id=f"book{number // 100:04}",
            page_number=number % 100 + 1,
            label="",
            text=" ".join(f"word{word}" for word in draw.choices(range(WORDS), weights, k=PAGE_WORDS)),
            width_pt=0.0,
            height_pt=0.0,
            source_file="",
            source_sha256="",
            text_source="pdf",
            status="ok",
            reason="",
        )
        for number in range(size)
    )
    write_pages(work / "pages", pages, stage="ingest", pdf_dir=None)
    build_index(work / "pages", work / "index")
    return work / "index"


def _measured(root: Path, index: Path) -> dict[str, Any]:
    """What this file, run with the package of ``root``, says of the index."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", str(index)]
    done = subprocess.run(command, env=environment, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _measure(index: Path) -> dict[str, Any]:
    """Milliseconds (wall clock, CPU) of a search, by the callers; and a digest of all that was found."""
    search, page_ids = _searcher(index)
    draw = random.Random(1)
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    asked = [
        (
            " ".join(f"word{word}" for word in draw.choices(range(WORDS), weights, k=6)),
            frozenset(draw.sample(page_ids, 6) if number % 4 == 0 else ()),
            tuple(draw.sample(page_ids, 2)),
        )
        for number in range(SEARCHES)
    ]

    async def caller(first: int, step: int) -> None:
        for query in asked[first::step]:
            await search(*query)

    found = [await search(*query) for query in asked]
    times: dict[str, Any] = {"found": hashlib.sha256(json.dumps(found).encode()).hexdigest()}
    for callers in (1, CALLERS):
        wall, cpu = perf_counter(), process_time()
        await asyncio.gather(*(caller(first, callers) for first in range(callers)))
        taken = perf_counter() - wall, process_time() - cpu
        times[str(callers)] = [seconds * 1000 / SEARCHES for seconds in taken]
    return times


def _searcher(index: Path) -> tuple[Search, tuple[str, ...]]:
    """How an episode of the imported version searches, snippets included; and the ids of all pages."""
    from drag_rl import retrieval

    if not hasattr(retrieval, "open_retriever"):
        older = retrieval.SearchIndex.load(index)

        async def search(query: str, without: frozenset[str], track: tuple[str, ...]) -> list[Any]:
            found = await asyncio.to_thread(
                older.search, query, TOP_K, track, snippet_chars=SNIPPET_CHARS, without=without
            )
            hits = [[hit.page_id, hit.score, hit.snippet] for hit in found.hits]
            return [hits, found.gold_ranks, found.corpus_ranks]

        return search, older.page_ids

    retriever = retrieval.open_retriever(index)

    async def searched(query: str, without: frozenset[str], track: tuple[str, ...]) -> list[Any]:
        queries = [retrieval.Query(text=query, track=track)]
        if without:
            queries.append(retrieval.Query(text=query, track=track, without=without))
        rankings = await retriever.search(queries, TOP_K)
        hits = [
            [hit.page_id, hit.score, retriever.pages.snippet(hit.page_id, query, SNIPPET_CHARS)]
            for hit in rankings[-1].hits
        ]
        return [hits, rankings[-1].tracked, rankings[0].tracked]

    return searched, retriever.pages.page_ids


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        json.dump(asyncio.run(_measure(Path(sys.argv[2]))), sys.stdout)
    elif len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve(), map(int, sys.argv[2:]) if sys.argv[2:] else SIZES)
    else:
        sys.exit(__doc__)
