"""What an index of many pages costs: to build, to open, in memory of one more process, and when 1 % of it changes.

    python benchmarks/scale.py data/pages 4000 100000 1000000

The pages are resampled from those of a folder that `drag ingest` made: each is the first half of one and the second
half of another, a hundred to a document. So words come as often as they do in real text, but there are hardly more
different ones than in the folder; a corpus of a million real pages has more. Every step runs in a process of its own.

Memory is what processes hold of their own: parts of mapped files, which all processes share and the system may take
back at any time, do not count. "GB held" is the most that all processes of the build held at one time; "MB opened" is
how much more than before a further process holds once it has opened the index, and "searched" after 50 searches. An
update is `drag index` over the index that is there; its ratio to the build is of CPU seconds, which a busy machine
disturbs least.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import perf_counter
from typing import Any

import psutil

from drag_rl.types import Page

DOCUMENT_PAGES, CHANGED, SEARCHES, TOP_K = 100, 0.01, 50, 3
SAMPLE_S = 0.05


def main(pages_dir: Path, sizes: Sequence[int]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "pages", "build, s", "CPU s", "GB held", "GB stored", "open, s", "CPU s", "MB opened", "searched"
    )
    for column in ("update, s", "CPU s", "ratio"):
        table.add_column(column)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            pages, index = work / "pages", work / "index"
            _step("corpus", pages_dir, pages, size, 0)
            build = _step("build", pages, index)
            with _open(index):
                opened = _step("open", index)
            _step("corpus", pages_dir, pages, size, CHANGED)
            update = _step("build", pages, index)
            stored = sum(path.stat().st_size for path in index.rglob("*") if path.is_file())
        table.add_row(
            f"{size:,}",
            f"{build['seconds']:.1f}",
            f"{build['cpu_seconds']:.1f}",
            f"{build['memory'] / 1e9:.2f}",
            f"{stored / 1e9:.2f}",
            f"{opened['seconds']:.3f}",
            f"{opened['cpu_seconds']:.3f}",
            f"{opened['opened'] / 1e6:.0f}",
            f"{opened['searched'] / 1e6:.0f}",
            f"{update['seconds']:.1f}",
            f"{update['cpu_seconds']:.1f}",
            f"{update['cpu_seconds'] / build['cpu_seconds']:.2f}",
        )
    Console(width=120).print(table)


def _step(name: str, *arguments: Any) -> dict[str, Any]:
    """What a step says, run by this file in a process of its own, and the most ``memory`` that it held (bytes)."""
    command = [sys.executable, __file__, f"--{name}", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        done, most = Event(), [0]
        watcher = Thread(target=_watch, args=(psutil.Process(process.pid), done, most))
        watcher.start()
        said, _ = process.communicate()
        done.set()
        watcher.join()
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(said) | {"memory": most[0]}


def _watch(process: psutil.Process, done: Event, most: list[int]) -> None:
    while not done.wait(SAMPLE_S):
        try:
            held = sum(map(_own_bytes, [process, *process.children(recursive=True)]))
        except psutil.Error:
            continue
        most[0] = max(most[0], held)


def _own_bytes(process: psutil.Process) -> int:
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


@contextmanager
def _open(index: Path) -> Iterator[None]:
    """Another process has an index open."""
    command = [sys.executable, __file__, "--open", str(index), "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate("")


class _Clock:
    """Seconds by the wall and of the CPUs, those of ended child processes too."""

    def __init__(self) -> None:
        self._began, self._used = perf_counter(), sum(os.times()[:4])

    def passed(self) -> dict[str, float]:
        return {"seconds": perf_counter() - self._began, "cpu_seconds": sum(os.times()[:4]) - self._used}


def corpus(pages_dir: Path, out: Path, size: int, changed: float) -> dict[str, Any]:
    """Write pages; of the documents a share of ``changed`` has other text than those of 0."""
    from drag_rl.corpus.pages import stream_pages, write_pages

    real = [page for page in stream_pages(pages_dir, Page) if page.text]

    def resampled() -> Iterator[Page]:
        for document in range(-(-size // DOCUMENT_PAGES)):
            chosen = random.Random(f"changed? {document}").random() < changed
            draw = random.Random(f"{document} {chosen}")
            for number in range(1, min(DOCUMENT_PAGES, size - document * DOCUMENT_PAGES) + 1):
                one, other = draw.choice(real), draw.choice(real)
                name = f"book{document:06}"
                text = one.text[: len(one.text) // 2] + other.text[len(other.text) // 2 :]
                yield replace(
                    one, page_id=f"{name}#{number}", doc_id=name, page_number=number, text=text, label=""
                )

    write_pages(out, resampled(), stage="ingest", pdf_dir=None)
    return {}


def build(pages: Path, index: Path) -> dict[str, Any]:
    """Build as `drag index` does."""
    from drag_rl.cli.index_bar import default_workers
    from drag_rl.retrieval import build_index

    clock = _Clock()
    build_index(pages, index, workers=default_workers())
    return clock.passed()


def opened(index: Path, wait: bool) -> dict[str, Any]:
    """Time to open an index, and memory held more than before, after opening and after some searches (bytes)."""
    import asyncio

    from drag_rl.retrieval import Query, open_retriever

    me = psutil.Process()
    before, clock = _own_bytes(me), _Clock()
    retriever = open_retriever(index)
    found = clock.passed() | {"opened": _own_bytes(me) - before}
    draw = random.Random(0)
    for _ in range(SEARCHES):
        page_id = retriever.pages.page_ids[draw.randrange(len(retriever.pages))]
        words = retriever.pages.text(page_id).split()
        query = " ".join(draw.choices(words, k=6))
        asyncio.run(retriever.search([Query(text=query, track=(page_id,))], TOP_K))
    found["searched"] = _own_bytes(me) - before
    if wait:
        sys.stdout.write("open\n")
        sys.stdout.flush()
        sys.stdin.read()
    return found


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--corpus", pages_dir, out, size, changed]:
            result = corpus(Path(pages_dir), Path(out), int(size), float(changed))
        case ["--build", pages, index]:
            result = build(Path(pages), Path(index))
        case ["--open", index, *wait]:
            result = opened(Path(index), bool(wait))
        case [pages_dir, _, *_] if not pages_dir.startswith("-"):
            sys.exit(main(Path(pages_dir), [int(size) for size in sys.argv[2:]]))
        case _:
            sys.exit(__doc__)
    json.dump(result, sys.stdout)
