"""Our search in this process against raw bm25s, tantivy, Whoosh and rank-bm25, over the same pages and queries.

    pip install 'drag-rl[bench]'
    python benchmarks/peers.py data/pages             the pages of that folder
    python benchmarks/peers.py data/pages 20000       so many, put together from halves of its pages

Each engine takes texts as it is meant to: its own English analyser, in memory where it can be; its time begins with the
text of a query and ends with its three best pages. Ours also gives the exact rank of a page of its choice at any depth,
which the others cannot; a row more has our snippets, which a rollout needs, and one has 64 callers at a time. Indexing
begins with texts in memory; ours writes a folder that any process can map.

The engines take turns, round by round, so that a busy machine slows all alike: read the ratios. A slow engine answers
fewer of the queries (two seconds a round); its first query is not counted.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

from drag_rl.corpus.pages import stream_pages
from drag_rl.retrieval import Query, Retriever
from drag_rl.retrieval.documents import index_documents

QUERIES, WORDS, TOP_K, SNIPPET_CHARS, CALLERS = 400, 6, 3, 300, 64
ROUNDS, ROUND_S = 5, 2.0

Ask = Callable[[Sequence[str]], None]
"""Search queries, one after another unless it says otherwise."""


def main(pages_dir: Path, size: int | None) -> None:
    """Print the table."""
    texts = dict(_texts(pages_dir, size))
    queries = _queries(list(texts.values()))
    engines: dict[str, tuple[float, Ask]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for make in (_bm25s, _ours, _tantivy, _whoosh, _rank_bm25):
            started = perf_counter()
            asks = make(texts, Path(folder))
            seconds = perf_counter() - started
            engines |= {name: (seconds, ask) for name, ask in asks.items()}
        per_s: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(ROUNDS):
            for name, (_, ask) in engines.items():
                per_s[name].append(_per_second(ask, queries, CALLERS if str(CALLERS) in name else 1))
    table = Table("engine", "index, s", "queries/s", "of raw bm25s", title=f"{len(texts):,} pages")
    base = per_s["bm25s, hits"]
    for name, (seconds, _) in engines.items():
        ratio = median(own / its for own, its in zip(per_s[name], base, strict=True))
        table.add_row(name, f"{seconds:.1f}", f"{median(per_s[name]):,.0f}", f"{ratio:.2f} x")
    Console().print(
        table, f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )


def _per_second(ask: Ask, queries: Sequence[str], together: int) -> float:
    """Queries a second, until all are asked or the time of a round is over."""
    ask(queries[:together])
    done, started = 0, perf_counter()
    while done < len(queries) and perf_counter() - started < ROUND_S:
        ask(queries[done : done + together])
        done += len(queries[done : done + together])
    return done / (perf_counter() - started)


def _texts(pages_dir: Path, size: int | None) -> Iterator[tuple[str, str]]:
    """Page ids and texts; with a size, so many pages, each the halves of two."""
    real = [(page.page_id, page.text) for page in stream_pages(pages_dir) if page.text]
    if size is None:
        yield from real
        return
    draw = random.Random(0)
    for number in range(size):
        one, other = draw.choice(real)[1], draw.choice(real)[1]
        yield f"book{number // 100:05}#{number % 100 + 1}", one[: len(one) // 2] + other[len(other) // 2 :]


def _queries(texts: Sequence[str]) -> list[str]:
    """Words of a page each, as they stand there."""
    draw = random.Random(1)
    words = (re.findall(r"[A-Za-z]{3,}", draw.choice(texts)) for _ in range(QUERIES * 10))
    return list(islice((" ".join(draw.choices(found, k=WORDS)) for found in words if found), QUERIES))


def _ours(texts: dict[str, str], folder: Path) -> dict[str, Ask]:
    retriever = index_documents(list(texts), list(texts.values()), folder=folder / "ours")
    tracked = (retriever.pages.page_ids[len(texts) // 2],)
    # One event loop for all, as a rollout worker has.
    loop = asyncio.new_event_loop()

    def asker(*, snippets: bool) -> Ask:
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
