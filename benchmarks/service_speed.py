"""Our service against the design of Search-R1's retrieval server: queries a second, and how long one waits.

    python benchmarks/service_speed.py data/pages 4000 100000

Search-R1's server is one synchronous FastAPI endpoint that searches query by query; here it is written anew, with bm25s
in place of its engine, over the same pages, stop words and stems. Ours is `drag serve`. Both answer whole pages, in the
same form. 1, 8 and 64 clients ask one query a request over connections that stay open, each the next query as soon as
it has its answer; no query comes twice in a round. `requests` is Search-R1's own client instead: 64 threads that make a
connection for each request. Client and server share the machine, and the servers take turns, so that a busy machine
slows both alike. The table has medians over the rounds, the ratio of queries a second (more is better) and that of the
99th percentile of waiting (less is better).

Also there: ours without page texts and with exact ranks of two pages (`ranks`), as `--kind http` asks it, and that
client itself (`client`), 64 searches at once in one process: what a trainer on another machine gets, against `local`,
the same searches in the trainer's own process.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Lock
from time import monotonic, perf_counter, sleep
from typing import Any

CLIENTS, TOP_K = (1, 8, 64), 3
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", "3")), float(os.environ.get("SECONDS", "3"))
QUERIES, QUERY_WORDS = 20_000, 6


def main(pages_dir: Path, sizes: Sequence[int]) -> None:
    """Print a table for each number of pages."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as work:
            _step("prepare", pages_dir, work, size)
            _table(Path(work), size)


def _table(work: Path, size: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "clients",
        "server",
        "queries/s",
        "p50, ms",
        "p99, ms",
        "ratio of q/s",
        "of p99",
        title=f"{size:,} pages",
    )
    with _served(work, "search-r1") as theirs, _served(work, "drag") as ours:
        for clients in CLIENTS:
            rows: dict[str, list[dict[str, float]]] = {"search-r1": [], "drag": [], "drag, ranks": []}
            for number in range(ROUNDS):
                for name, port in (("search-r1", theirs), ("drag", ours), ("drag, ranks", ours)):
                    rows[name].append(_step("ask", work, port, clients, number, name.endswith("ranks")))
            _rows(table, str(clients), rows)
        rows = {"search-r1, requests": [], "drag, requests": []}
        for number in range(ROUNDS):
            for name, port in zip(rows, (theirs, ours), strict=True):
                rows[name].append(_step("requests", work, port, CLIENTS[-1], number))
        _rows(table, str(CLIENTS[-1]), rows)
        rows = {"local": [], "client": []}
        for number in range(ROUNDS):
            for name in rows:
                rows[name].append(_step("search", work, ours, name, number))
        _rows(table, str(CLIENTS[-1]), rows)
    Console(width=110).print(table)


def _rows(table: Any, clients: str, rows: dict[str, list[dict[str, float]]]) -> None:
    medians = {
        name: {key: median(one[key] for one in rounds) for key in rounds[0]} for name, rounds in rows.items()
    }
    base = next(iter(medians.values()))
    for name, found in medians.items():
        ratios = [found[key] / base[key] for key in ("per_s", "p99")]
        cells = [f"{found['per_s']:,.0f}", f"{found['p50']:.1f}", f"{found['p99']:.1f}"]
        table.add_row(clients, name, *cells, f"{ratios[0]:.3g}", f"{ratios[1]:.3g}")


@contextmanager
def _served(work: Path, name: str) -> Iterator[int]:
    """The port of a server in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--search-r1", str(work), str(port)]
    if name == "drag":
        command = [sys.executable, "-m", "drag_rl.cli.main", "serve", "--index", str(work / "index")]
        command += ["--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        until = monotonic() + 600
        while not _listens(port):
            assert server.poll() is None and monotonic() < until, "the server does not start"
            sleep(0.1)
        try:
            yield port
        finally:
            server.send_signal(signal.SIGTERM)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _step(name: str, *arguments: object) -> dict[str, float]:
    """What one step, in a process of its own, prints."""
    command = [sys.executable, __file__, f"--{name}", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def prepare(pages_dir: Path, work: Path, size: int) -> dict[str, float]:
    """Resample pages, index them for both servers, and draw the queries: words that stand together on a page."""
    import bm25s
    import Stemmer
    from scale import build, corpus

    from drag_rl.retrieval import open_retriever

    corpus(pages_dir, work / "pages", size, 0.0)
    build(work / "pages", work / "index")
    pages = open_retriever(work / "index").pages
    texts = [pages.text(page_id) for page_id in pages.page_ids]
    tokens = bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)
    engine = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    engine.index(tokens, show_progress=False)
    engine.save(work / "bm25s", show_progress=False)
    documents = [
        {"id": page_id, "contents": f'"{page_id}"\n{text}'}
        for page_id, text in zip(pages.page_ids, texts, strict=True)
    ]
    (work / "documents.json").write_text(json.dumps(documents), encoding="utf-8")
    draw = random.Random(size)
    queries = []
    while len(queries) < QUERIES:
        row = draw.randrange(len(texts))
        words = texts[row].split()
        first = draw.randrange(max(1, len(words) - QUERY_WORDS))
        track = [pages.page_ids[row], pages.page_ids[draw.randrange(len(texts))]]
        queries.append([" ".join(words[first : first + QUERY_WORDS]), track])
    (work / "queries.json").write_text(json.dumps(queries), encoding="utf-8")
    return {}


def search_r1(work: Path, port: int) -> None:
    """Serve as Search-R1 does: a synchronous endpoint, and a loop over the queries."""
    import bm25s
    import Stemmer
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    engine = bm25s.BM25.load(work / "bm25s", mmap=True, show_progress=False)
    documents = json.loads((work / "documents.json").read_text(encoding="utf-8"))
    stemmer = Stemmer.Stemmer("english")

    class Request(BaseModel):
        queries: list[str]
        topk: int | None = None
        return_scores: bool = False

    app = FastAPI()

    def searched(query: str, top_k: int) -> list[dict[str, Any]]:
        tokens = bm25s.tokenize(query, stopwords="en", stemmer=stemmer, show_progress=False)
        rows, scores = engine.retrieve(tokens, k=top_k, show_progress=False)
        return [
            {"document": documents[row], "score": float(score)}
            for row, score in zip(rows[0], scores[0], strict=True)
        ]

    def endpoint(request: Request) -> dict[str, Any]:
        return {"result": [searched(query, request.topk or TOP_K) for query in request.queries]}

    endpoint.__annotations__ = {"request": Request}
    app.post("/retrieve")(endpoint)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


async def ask(work: Path, port: int, clients: int, number: int, ranks: bool) -> dict[str, float]:
    """Ask for some seconds, over raw connections: a client that thinks would take the server's time."""
    queries = _queries(work, number)
    waits: list[float] = []
    everybody = asyncio.Barrier(clients)
    end = perf_counter() + SECONDS

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await everybody.wait()
        while perf_counter() < end:
            query, track = next(queries)
            fields = {"queries": [query], "topk": TOP_K, "return_scores": True}
            body = json.dumps(fields | ({"track": track, "snippet_chars": 0} if ranks else {})).encode()
            head = f"POST /retrieve HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            began = perf_counter()
            writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            told = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert told.startswith(b"http/1.1 200"), told
            await reader.readexactly(int(told.partition(b"content-length:")[2].split(b"\r\n")[0]))
            waits.append(perf_counter() - began)
        writer.close()

    began = perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return _figures(waits, perf_counter() - began)


def ask_with_requests(work: Path, port: int, clients: int, number: int) -> dict[str, float]:
    """Ask for some seconds as Search-R1's rollout does: `requests.post`, without a session."""
    import requests

    queries, lock = _queries(work, number), Lock()
    waits: list[float] = []
    end = perf_counter() + SECONDS

    def client() -> None:
        while perf_counter() < end:
            with lock:
                query, _ = next(queries)
            payload = {"queries": [query], "topk": TOP_K, "return_scores": True}
            began = perf_counter()
            found = requests.post(f"http://127.0.0.1:{port}/retrieve", json=payload).json()["result"]
            waits.append(perf_counter() - began)
            assert len(found) == 1

    began = perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(client) for _ in range(clients)]:
            done.result()
    return _figures(waits, perf_counter() - began)


async def search(work: Path, port: int, where: str, number: int) -> dict[str, float]:
    """64 searches at once by a retriever: of the index itself, or of the service."""
    from drag_rl.retrieval import Query, build_index, open_retriever

    folder = work / "index"
    if where == "client":
        folder = work / "http"
        url = f"http://127.0.0.1:{port}"
        await asyncio.to_thread(build_index, None, folder, "http", url=url, cache=False)
    retriever = open_retriever(folder)
    await retriever.search([Query(text="page")], TOP_K)  # what is loaded once is no search's time
    queries = _queries(work, number)
    waits: list[float] = []
    end = perf_counter() + SECONDS

    async def caller() -> None:
        while perf_counter() < end:
            text, track = next(queries)
            began = perf_counter()
            await retriever.search([Query(text=text, track=tuple(track))], TOP_K)
            await asyncio.sleep(0)  # the next caller's turn, as between the messages of a rollout
            waits.append(perf_counter() - began)

    began = perf_counter()
    await asyncio.gather(*(caller() for _ in range(CLIENTS[-1])))
    return _figures(waits, perf_counter() - began)


def _queries(work: Path, number: int) -> Iterator[tuple[str, list[str]]]:
    """All queries, from another place in each round, and again from the first if they do not last."""
    found = json.loads((work / "queries.json").read_text(encoding="utf-8"))
    start = number * len(found) // ROUNDS
    while True:
        yield from found[start:] + found[:start]


def _figures(waits: Sequence[float], seconds: float) -> dict[str, float]:
    ordered = sorted(waits)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    return {"per_s": len(ordered) / seconds, "p50": p50, "p99": p99}


STEPS: dict[str, Callable[..., Any]] = {
    "--prepare": lambda pages, work, size: prepare(Path(pages), Path(work), int(size)),
    "--search-r1": lambda work, port: search_r1(Path(work), int(port)),
    "--ask": lambda work, port, clients, number, ranks: asyncio.run(
        ask(Path(work), int(port), int(clients), int(number), ranks == "True")
    ),
    "--requests": lambda work, port, clients, number: ask_with_requests(
        Path(work), int(port), int(clients), int(number)
    ),
    "--search": lambda work, port, where, number: asyncio.run(
        search(Path(work), int(port), where, int(number))
    ),
}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in STEPS:
        json.dump(STEPS[sys.argv[1]](*sys.argv[2:]), sys.stdout)
    elif len(sys.argv) > 2:
        main(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]])
    else:
        sys.exit(__doc__)
