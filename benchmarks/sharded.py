"""What an index of shards costs a page, and a search against the same pages in one index.

    python benchmarks/sharded.py data/pages 20000 100000 400000

The pages are resampled as in `scale.py`. Everything runs on this machine, the shards on a local Ray cluster, so the
tables show what the work costs, not what more machines gain: their numbers are the slopes of `docs/scaling.md`.

The first table is of building, in microseconds of CPU time a page, which a busy machine changes little, and in bytes a
page. "shards" is writing the postings of all shards; "pages" is all before: reading pages and telling them into words.

The second is of searching: six words of a page, that page's exact rank, the best three pages. "a shard" is the CPU
time of one search of one shard by itself; "one index" and "shards" are milliseconds that a lone caller waits, "ratio"
how much longer with shards; "q/s" are queries a second of 64 callers, for both. They take turns, and both must find the
same, or the script ends with 1. "MB an actor" is what the process of a shard holds of its own; the files that it maps
are not counted.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time
from typing import TYPE_CHECKING

from scale import corpus

from drag_rl.retrieval import Query, Ranking, Retriever, build_index, open_retriever
from drag_rl.retrieval.build import WRITING
from drag_rl.retrieval.build_progress import BuildProgress

if TYPE_CHECKING:
    from rich.table import Table

SHARDS, ROUNDS, SEARCHES, CALLERS, TOP_K = 2, 3, 320, 64, 3


class StepTimes(BuildProgress):
    """CPU seconds of each step of a build."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._step, self._since = "", process_time()

    def at(self, step: str, pages: int, of: int) -> None:
        """Count what has gone by since the last call to the step before."""
        del pages, of
        now = process_time()
        self.seconds[self._step] += now - self._since
        self._step, self._since = step, now


def main(pages_dir: Path, sizes: Sequence[int]) -> None:
    """Print both tables."""
    import ray
    from rich.console import Console
    from rich.table import Table

    import drag_rl.retrieval.sparse.kernels  # noqa: F401 - its loading is no build's own time
    from drag_rl.retrieval.sharded import index

    index.FEW_PAGES = max(sizes)  # shards are written in this process, where their time can be seen
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    building = Table("size", "pages, us", "shards, us", "pages, bytes", "shards, bytes", "terms")
    searching = Table(
        "pages", "a shard, ms", "one index", "shards", "ratio", "one, q/s", "shards, q/s", "ratio"
    )
    searching.add_column("MB an actor")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            corpus(pages_dir, work / "pages", size, 0)
            _build(work, size, building)
            _search(work, size, searching)
    for table in (building, searching):
        Console(width=110).print(table)


def _build(work: Path, size: int, table: Table) -> None:
    times = StepTimes()
    manifest, _ = build_index(work / "pages", work / "sharded", "sharded", shards=SHARDS, progress=times)
    times.at("", 0, 0)
    build_index(work / "pages", work / "one")
    writing = times.seconds.pop(WRITING)
    of_shards = _bytes(work / "sharded" / "shards")
    table.add_row(
        f"{size:,}",
        f"{sum(times.seconds.values()) / size * 1e6:.0f}",
        f"{writing / size * 1e6:.1f}",
        f"{(_bytes(work / 'sharded') - of_shards) / size:,.0f}",
        f"{of_shards / size:,.0f}",
        f"{manifest.counts['terms']:,}",
    )


def _search(work: Path, size: int, table: Table) -> None:
    one, shards = open_retriever(work / "one"), open_retriever(work / "sharded")
    retrievers = (one, shards)
    every = _queries(one, 1 + 2 * ROUNDS * SEARCHES)  # each is asked once: one index remembers what it found
    queries = every[1 : 1 + SEARCHES]
    for retriever in retrievers:
        asyncio.run(retriever.search(every[:1], TOP_K))
    waits, rates = [], []
    for number in range(ROUNDS):
        start = 1 + 2 * number * SEARCHES
        halves = every[start : start + SEARCHES], every[start + SEARCHES : start + 2 * SEARCHES]
        lone, crowd = (
            [asyncio.run(asked(retriever, half)) for retriever in retrievers]
            for asked, half in zip((_lone, _crowd), halves, strict=True)
        )
        if lone[0][1] != lone[1][1] or crowd[0][1] != crowd[1][1]:
            sys.exit(f"{size} pages: shards do not find what one index finds")
        waits.append([median(seconds) * 1e3 for seconds, _ in lone])
        rates.append([SEARCHES / sum(seconds) for seconds, _ in crowd])
    waits, rates = ([median(of_one) for of_one in zip(*rounds, strict=True)] for rounds in (waits, rates))
    table.add_row(
        f"{size:,}",
        f"{_shard_ms(work / 'sharded', queries):.2f}",
        *(f"{wait:.2f}" for wait in waits),
        f"{waits[1] / waits[0]:.1f}",
        *(f"{rate:,.0f}" for rate in rates),
        f"{rates[1] / rates[0]:.2f}",
        f"{_actor_bytes(shards.fingerprint) / 1e6:.0f}",
    )


def _queries(retriever: Retriever, count: int) -> list[Query]:
    draw = random.Random(0)
    found = []
    for _ in range(count):
        page_id = retriever.pages.page_ids[draw.randrange(len(retriever.pages))]
        words = retriever.pages.text(page_id).split()
        found.append(Query(text=" ".join(draw.choices(words, k=6)), track=(page_id,)))
    return found


async def _lone(retriever: Retriever, queries: Sequence[Query]) -> tuple[list[float], list[Ranking]]:
    """Seconds of each search, one after another, and what was found."""
    seconds, found = [], []
    for query in queries:
        started = perf_counter()
        found += await retriever.search([query], TOP_K)
        seconds.append(perf_counter() - started)
    return seconds, found


async def _crowd(retriever: Retriever, queries: Sequence[Query]) -> tuple[list[float], list[Ranking]]:
    """Seconds of all searches, by 64 callers who ask one after another, and what was found."""
    found: list[Ranking | None] = [None] * len(queries)

    async def caller(number: int) -> None:
        for place in range(number, len(queries), CALLERS):
            (found[place],) = await retriever.search([queries[place]], TOP_K)

    started = perf_counter()
    await asyncio.gather(*map(caller, range(CALLERS)))
    return [perf_counter() - started], [ranking for ranking in found if ranking]


def _shard_ms(index: Path, queries: Sequence[Query]) -> float:
    """The median CPU time of a search of the first shard."""
    from drag_rl.retrieval.sharded.files import open_shard
    from drag_rl.retrieval.sparse.bm25 import Wanted

    shard = open_shard(index, 0)
    seconds = []
    for query in queries:
        wanted = Wanted(text=query.text, top_k=TOP_K, above=[(5.0, 0)])
        started = thread_time()
        shard.search([wanted])
        seconds.append(thread_time() - started)
    return median(seconds) * 1e3


def _actor_bytes(fingerprint: str) -> int:
    """The most that the process of a shard holds of its own."""
    import psutil
    import ray

    from drag_rl.retrieval.sharded.actors import NAMESPACE

    actors = [ray.get_actor(f"{fingerprint} {shard} 0", namespace=NAMESPACE) for shard in range(SHARDS)]
    processes = ray.get([actor.__ray_call__.remote(lambda _: os.getpid()) for actor in actors])
    memory = [psutil.Process(process).memory_info() for process in processes]
    return max(held.rss - held.shared for held in memory)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    match sys.argv[1:]:
        case [pages_dir, _, *_]:
            main(Path(pages_dir), [int(size) for size in sys.argv[2:]])
        case _:
            sys.exit(__doc__)
