"""Read a document for its questions in a separate process, which may crash, hang or run out of memory without harm.

``drag_rl.corpus.worker_pool`` does the same for ``drag ingest``; a PDF that it could read may still be too much for
this other way of reading. The process reports the page that it is at. If it dies there or takes too long, it is
replaced and that page is left out.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from data_preprocess.document_questions import DocumentQuestions, SentenceOptions, read_document
from drag_rl.corpus.sources import PDF_ERRORS, UnreadablePdfError, one_line, open_pdf
from drag_rl.corpus.worker_pool import MAX_BAD_PAGES, MAX_WORKER_BYTES, PAGE_TIMEOUT_S
from drag_rl.errors import InputError
from drag_rl.files.codec import from_json, to_json
from drag_rl.files.manifest import Problem
from drag_rl.mupdf import pymupdf
from drag_rl.types import Page

PAGES_A_TIMEOUT = 100
"""Finding the questions of this many pages may take as long as reading one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """A message of the process: the page that it begins (0 for all of them together), or how it ended."""

    page_number: int = 0
    found: DocumentQuestions | None = None
    refusal: str = ""
    """Why the file cannot be opened as a document; empty if it can."""
    failure: str = ""
    """Why it could not be read."""


def read_bounded(
    path: Path,
    pages: Sequence[Page],
    sentences: SentenceOptions,
    seed: int,
    *,
    page_timeout_s: float = PAGE_TIMEOUT_S,
) -> tuple[DocumentQuestions | None, list[Problem]]:
    """The questions of a PDF, None if it was given up, and what had to be left out.

    Raises ``InputError`` if the file cannot be opened as a PDF.
    """
    left_out: dict[int, str] = {}
    while True:
        end = _attempt(path, pages, sentences, seed, left_out, page_timeout_s)
        problems = [Problem(where=pages[number - 1].page_id, reason=why) for number, why in left_out.items()]
        if end.refusal:
            raise InputError(f"{path}: {end.refusal}; put the PDF back or run drag ingest again")
        if end.found is not None:
            return end.found, problems
        number = end.page_number
        if not number or number in left_out or len(left_out) == MAX_BAD_PAGES:
            where = f" at page {number}" if number else ""
            reason = f"is not asked for questions, and left out of the pool: {end.failure}{where}"
            return None, [*problems, Problem(where=pages[0].source_file, reason=reason)]
        left_out[number] = f"is not asked for questions: {end.failure}"


def _attempt(
    path: Path,
    pages: Sequence[Page],
    sentences: SentenceOptions,
    seed: int,
    left_out: Mapping[int, str],
    page_timeout_s: float,
) -> _Message:
    """Yield the messages of one reading; the last one says how it ended."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    arguments = (theirs, path, tuple(pages), sentences, seed, frozenset(left_out))
    process = context.Process(target=_work, args=arguments, daemon=True)
    process.start()
    theirs.close()
    at, limit_s = 0, PAGE_TIMEOUT_S  # to start
    try:
        while True:
            if not ours.poll(limit_s):
                return _Message(page_number=at, failure=f"no result within {limit_s:g} s")
            message = from_json(_Message, ours.recv_bytes())
            if message.found is not None or message.refusal or message.failure:
                return message
            at = message.page_number
            limit_s = page_timeout_s if at else page_timeout_s * (1 + len(pages) / PAGES_A_TIMEOUT)
    except ValueError:
        return _Message(page_number=at, failure="the PDF reader said what makes no sense")
    except (EOFError, ConnectionResetError):
        process.join()
        return _Message(page_number=at, failure=f"the PDF reader crashed (exit code {process.exitcode})")
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(
    pipe: Connection,
    path: Path,
    pages: Sequence[Page],
    sentences: SentenceOptions,
    seed: int,
    left_out: frozenset[int],
) -> None:
    """Run in the process: read the document, and report on the way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MAX_WORKER_BYTES if most == resource.RLIM_INFINITY else min(most, MAX_WORKER_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    at = 0

    def begin(number: int) -> None:
        nonlocal at
        at = number
        _send(pipe, _Message(page_number=number))

    try:
        begin(0)
        with open_pdf(path) as document:
            found = read_document(document, pages, sentences, seed, left_out=left_out, on_page=begin)
        _send(pipe, _Message(found=found))
    except UnreadablePdfError as error:
        _send(pipe, _Message(refusal=str(error)))
    except PDF_ERRORS as error:
        _send(pipe, _Message(page_number=at, failure=f"cannot be read ({one_line(error)})"))
    except (BrokenPipeError, ConnectionResetError):
        return


def _send(pipe: Connection, message: _Message) -> None:
    pipe.send_bytes(to_json(message).encode())
