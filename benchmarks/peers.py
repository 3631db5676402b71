"""Our search in this process against raw bm25s, tantivy, Whoosh and rank-bm25, over the same pages and queries.

    pip install 'drag-rl[bench]'
    python benchmarks/peers.py data/pages             the pages of that folder
    python benchmarks/peers.py data/pages 20000       so many, put together from halves of its pages

Each engine takes texts as it is meant to: its own English analyser, in memory where it can be; its time begins with the
text of a query and ends with its three best pages. Ours also gives the exact rank of a page of its choice at any depth,
which the others cannot; a row more has our snippets, which a rollout needs, and one has 64 callers at a time. Indexing
begins with texts in memory; ours writes a folder that any process can map.

The engines take turns, round by round, so that a busy machine slows all alike: read the ratios. A machine that others
use slows threads that wait for each other more than one that does not wait, ours that is; CPU time hardly changes. A
slow engine answers fewer of the queries (two seconds a round); its first query is not counted.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from rich.table import Table

from drag_rl.console import table_console
from drag_rl.corpus.pages import load_pages
from drag_rl.retrieval import Query, Retriever, open_retriever
from drag_rl.retrieval.documents import index_documents

QUERIES, WORDS, TOP_K, SNIPPET_CHARS, CALLERS = 400, 6, 3, 300, 64
ROUNDS, ROUND_S = 5, 2.0

Ask = Callable[[Sequence[str]], None]
"""Search queries, one after another unless it says otherwise."""


def main(pages_dir: Path, size: int | None) -> None:
    """Print the table."""
    texts = dict(_texts(pages_dir, size))
    rounds = _queries(list(texts.values()))
    engines: dict[str, tuple[float, Ask]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for make in (_bm25s, _ours, _tantivy, _whoosh, _rank_bm25):
            started = perf_counter()
            asks = make(texts, Path(folder))
            seconds = perf_counter() - started
            engines |= {name: (seconds, ask) for name, ask in asks.items()}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
        for queries in rounds:
            for name, (_, ask) in engines.items():
                taken[name].append(_taken(ask, queries, CALLERS if str(CALLERS) in name else 1))
    columns = ("engine", "index, s", "queries/s", "of raw bm25s", "queries/s of CPU", "of raw bm25s")
    table = Table(*columns, title=f"{len(texts):,} pages")
    for name, (seconds, _) in engines.items():
        cells = [name, f"{seconds:.1f}"]
        for clock in (0, 1):
            own, base = ([round[clock] for round in taken[of]] for of in (name, "bm25s, hits"))
            ratio = median(its / mine for mine, its in zip(own, base, strict=True))
            cells += [f"{1 / median(own):,.0f}", f"{ratio:.2f} x"]
        table.add_row(*cells)
    table_console().print(
        table, f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )


def _taken(ask: Ask, queries: Sequence[str], together: int) -> tuple[float, float]:
    """Seconds of a query, by the clock and of CPU, until all are asked or the round is over; the first do not count."""
    ask(queries[:together])
    done, started, cpu = together, perf_counter(), process_time()
    while done < len(queries) and perf_counter() - started < ROUND_S:
        ask(queries[done : done + together])
        done += len(queries[done : done + together])
    asked = done - together
    return (perf_counter() - started) / asked, (process_time() - cpu) / asked


def _texts(pages_dir: Path, size: int | None) -> Iterator[tuple[str, str]]:
    """Page ids and texts; with a size, so many pages, each the halves of two."""
    real = [(page.page_id, page.text) for page in load_pages(pages_dir) if page.text]
    if size is None:
        yield from real
        return
    draw = random.Random(0)
    for number in range(size):
        one, other = draw.choice(real)[1], draw.choice(real)[1]
        yield f"book{number // 100:05}#{number % 100 + 1}", one[: len(one) // 2] + other[len(other) // 2 :]


def _queries(texts: Sequence[str]) -> list[list[str]]:
    """For each round other queries, as ours knows what it was asked before: words of a page, as they stand there."""
    draw = random.Random(1)

    def query() -> str:
        found: list[str] = []
        while not found:
            found = re.findall(r"[A-Za-z]{3,}", draw.choice(texts))
        return " ".join(draw.choices(found, k=WORDS))

    return [[query() for _ in range(QUERIES)] for _ in range(ROUNDS)]


def _ours(texts: dict[str, str], folder: Path) -> dict[str, Ask]:
    ids = index_documents(list(texts), list(texts.values()), folder=folder / "ours").pages.page_ids
    tracked = (ids[len(ids) // 2],)
    # One event loop for all, as a rollout worker has.
    loop = asyncio.new_event_loop()

    def asker(*, snippets: bool) -> Ask:
        retriever = open_retriever(folder / "ours" / "index")  # each its own, which knows no query yet
        return lambda queries: loop.run_until_complete(_ask_ours(retriever, queries, tracked, snippets))

    return {
        "drag-rl, hits and rank": asker(snippets=False),
        "drag-rl, hits, rank and snippets": asker(snippets=True),
        f"drag-rl, the same, {CALLERS} callers": asker(snippets=True),
    }


async def _ask_ours(
    retriever: Retriever, queries: Sequence[str], track: tuple[str, ...], snippets: bool
) -> None:
    async def ask(text: str) -> None:
        [ranking] = await retriever.search([Query(text=text, track=track)], TOP_K)
        if snippets:
            for hit in ranking.hits:
                retriever.pages.snippet(hit.page_id, text, SNIPPET_CHARS)

    await asyncio.gather(*map(ask, queries))


def _bm25s(texts: dict[str, str], folder: Path) -> dict[str, Ask]:
    import bm25s
    import Stemmer

    del folder
    stemmer = Stemmer.Stemmer("english")
    index = bm25s.BM25()
    index.index(
        bm25s.tokenize(list(texts.values()), stopwords="en", stemmer=stemmer, show_progress=False),
        show_progress=False,
    )

    def ask(queries: Sequence[str]) -> None:
        for text in queries:
            tokens = bm25s.tokenize([text], stopwords="en", stemmer=stemmer, show_progress=False)
            index.retrieve(tokens, k=TOP_K, show_progress=False)

    return {"bm25s, hits": ask}


def _tantivy(texts: dict[str, str], folder: Path) -> dict[str, Ask]:
    import tantivy

    del folder
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("page_id", stored=True, tokenizer_name="raw")
    builder.add_text_field("text", tokenizer_name="en_stem")
    index = tantivy.Index(builder.build())
    writer = index.writer()
    for page_id, text in texts.items():
        writer.add_document(tantivy.Document(page_id=page_id, text=text))
    writer.commit()
    index.reload()
    searcher = index.searcher()

    def ask(queries: Sequence[str]) -> None:
        for text in queries:
            found = searcher.search(index.parse_query(text, ["text"]), TOP_K)
            [searcher.doc(address)["page_id"] for _, address in found.hits]

    return {"tantivy, hits": ask}


def _whoosh(texts: dict[str, str], folder: Path) -> dict[str, Ask]:
    from whoosh.analysis import StemmingAnalyzer
    from whoosh.fields import ID, TEXT, Schema
    from whoosh.index import create_in
    from whoosh.qparser import OrGroup, QueryParser

    (folder / "whoosh").mkdir()
    index = create_in(
        folder / "whoosh", Schema(page_id=ID(stored=True), text=TEXT(analyzer=StemmingAnalyzer()))
    )
    writer = index.writer()
    for page_id, text in texts.items():
        writer.add_document(page_id=page_id, text=text)
    writer.commit()
    searcher = index.searcher()
    parser = QueryParser("text", index.schema, group=OrGroup)

    def ask(queries: Sequence[str]) -> None:
        for text in queries:
            [hit["page_id"] for hit in searcher.search(parser.parse(text), limit=TOP_K)]

    return {"Whoosh, hits": ask}


def _rank_bm25(texts: dict[str, str], folder: Path) -> dict[str, Ask]:
    from rank_bm25 import BM25Okapi

    del folder
    ids = list(texts)
    index = BM25Okapi([text.lower().split() for text in texts.values()])

    def ask(queries: Sequence[str]) -> None:
        for text in queries:
            index.get_top_n(text.lower().split(), ids, TOP_K)

    return {"rank-bm25, hits": ask}


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else None)
