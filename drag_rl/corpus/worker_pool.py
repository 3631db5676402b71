"""Read documents in worker processes that may crash or hang without taking the run along.

A worker reads one document at a time, says which page it is at, and leaves the result as a part. One that
dies, or stays on a page for too long, is replaced; the document is read again without that page, which
becomes a failed row. Parent and worker exchange JSON, so a worker taken over by a hostile PDF can send
nothing that acts.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from drag_rl.corpus.image_documents import read_image_document
from drag_rl.corpus.image_sources import ImageSource, source_from
from drag_rl.corpus.parts import Parts
from drag_rl.corpus.pdf_pages import failed_document, read_document
from drag_rl.corpus.sources import Source, one_line
from drag_rl.errors import InputError

PAGE_TIMEOUT_S = 120.0
"""Seconds for one page, or for opening a document, at most; OCR takes a few."""
MAX_WORKER_BYTES = 8 << 30
"""Bytes of address space of a worker, so that a PDF that needs more memory fails, and not the machine."""
MAX_BAD_PAGES = 3
"""Pages of a document that may crash or stall the reader, at most; with more, the whole document is given up."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A worker has begun a page, or finished a document."""

    source: Source
    page_number: int
    """The page that it is at, 1-based; 0 while the document is opened."""
    page_count: int
    """How many pages the document has; 0 while it is not known."""
    done: bool


Reading = Callable[[Path, Sequence[Source], Parts], Iterator[Progress]]
"""Reads documents of a folder into parts, here or on a cluster; :func:`read_documents` says more."""


@dataclass(slots=True)
class _Task:
    source: Source
    unreadable: dict[int, str] = field(default_factory=dict)
    page_number: int = 0
    page_count: int = 0
    since_s: float | None = None
    """When the worker last said where it is; None until it has taken the task up."""


class _Worker:
    """One process and the document that it reads."""

    def __init__(self, folder: Path, parts: Parts) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, folder, parts), daemon=True)
        self.process.start()
        theirs.close()
        self.task: _Task | None = None

    def begin(self, task: _Task) -> None:
        task.page_number, task.since_s = 0, None
        self.task = task
        _send(self.pipe, {"source": asdict(task.source), "unreadable": task.unreadable})

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def read_documents(
    folder: Path,
    sources: Sequence[Source],
    parts: Parts,
    workers: int,
    page_timeout_s: float = PAGE_TIMEOUT_S,
) -> Iterator[Progress]:
    """Read all documents into ``parts``, ``workers`` at a time; the order of progress is not fixed.

    Raises ``InputError`` when what was read cannot be kept, as on a full disk; what was kept before stays.
    """
    waiting = deque(_Task(source) for source in sources)
    pool: list[_Worker] = []
    try:
        while waiting or any(worker.task for worker in pool):
            pool += [_Worker(folder, parts) for _ in range(min(workers, len(waiting)) - len(pool))]
            for worker in pool:
                if worker.task is None and waiting:
                    worker.begin(waiting.popleft())
            wait([worker.pipe for worker in pool if worker.task], timeout=min(1.0, page_timeout_s / 4))
            for worker in list(pool):
                if (task := worker.task) is None:
                    continue
                try:
                    yield from _progress(worker, task, parts)
                    failure = _overdue(worker, page_timeout_s)
                except (EOFError, OSError):
                    worker.process.join()
                    reader = "image" if isinstance(task.source, ImageSource) else "PDF"
                    failure = f"the {reader} reader crashed (exit code {worker.process.exitcode})"
                if failure:
                    worker.stop()
                    pool.remove(worker)
                    if _give_up(task, failure, parts):
                        yield Progress(task.source, task.page_number, task.page_count, True)
                    else:
                        waiting.appendleft(task)
    finally:
        for worker in pool:
            worker.stop()


def _progress(worker: _Worker, task: _Task, parts: Parts) -> Iterator[Progress]:
    while worker.task and worker.pipe.poll():
        message = json.loads(worker.pipe.recv_bytes())
        if "unwritable" in message:
            raise InputError(
                f"{parts.folder}: cannot be written ({message['unwritable']}); make room there and run the "
                "same command again, which resumes"
            )
        task.since_s = time.monotonic()
        if message["done"]:
            worker.task = None
        else:
            task.page_number, task.page_count = int(message["page"]), int(message["pages"])
        yield Progress(task.source, task.page_number, task.page_count, bool(message["done"]))


def _overdue(worker: _Worker, page_timeout_s: float) -> str | None:
    since_s = worker.task.since_s if worker.task else None
    if since_s is None or time.monotonic() - since_s <= page_timeout_s:
        return None
    return f"no result within {page_timeout_s:g} s"


def _give_up(task: _Task, failure: str, parts: Parts) -> bool:
    """Leave out the page that a worker failed at, or the whole document: then its part says why."""
    if task.page_number and task.page_number not in task.unreadable and len(task.unreadable) < MAX_BAD_PAGES:
        task.unreadable[task.page_number] = failure
        return False
    where = f" at page {task.page_number}" if task.page_number else " while it was opened"
    parts.save(task.source, failed_document(task.source, failure + where, given_up=True))
    return True


def _work(pipe: Connection, folder: Path, parts: Parts) -> None:
    """What a worker does until its parent stops it or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _silence_libraries()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MAX_WORKER_BYTES if most == resource.RLIM_INFINITY else min(most, MAX_WORKER_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))

    def report(number: int, count: int) -> None:
        _send(pipe, {"done": False, "page": number, "pages": count})

    try:
        while True:
            task = json.loads(pipe.recv_bytes())
            report(0, 0)
            source = source_from(task["source"])
            unreadable = {int(number): reason for number, reason in task["unreadable"].items()}
            if isinstance(source, ImageSource):
                result = read_image_document(
                    folder, source, parts.options, unreadable=unreadable, on_page=report
                )
            else:
                result = read_document(folder, source, parts.options, unreadable=unreadable, on_page=report)
            try:
                parts.save(source, result)
            except OSError as error:
                _send(pipe, {"unwritable": one_line(error)})
                return
            _send(pipe, {"done": True})
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _silence_libraries() -> None:
    """Send what native code writes to the standard error nowhere: Tesseract has a line for every speck.

    Pillow's warnings of damaged files go, too. What else Python writes, such as the traceback of a bug, comes through.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _send(pipe: Connection, message: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(message).encode())
