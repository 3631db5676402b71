"""Find the PDFs of a folder and open them, with a reason for each one that cannot be."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drag_rl.corpus.clean_text import clean_text
from drag_rl.corpus.folder_listing import files_below, printable, refusal
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem, sha256_file
from drag_rl.mupdf import pymupdf

SUFFIXES = (".pdf", ".pdf.gz")
MAX_UNPACKED_BYTES = 1 << 30
"""Bytes that a compressed PDF may unpack to, at most."""

MAX_PAGES = 100_000
"""Pages that a PDF may have, at most."""

PDF_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AssertionError,
    MemoryError,
    pymupdf.mupdf.FzErrorBase,
)
"""Exceptions that reading a damaged PDF may raise."""


class UnreadablePdfError(Exception):
    """A file that cannot be opened as a PDF; the message is the reason."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One PDF of the folder."""

    doc_id: str
    """``file`` without its suffix."""
    file: str
    """Path below the folder, with ``/``."""
    sha256: str
    """Hex SHA-256 of the file's bytes."""


def doc_id_of(file: str) -> str:
    """The document id of a file name: the name without ``.pdf`` or ``.pdf.gz``.

    >>> doc_id_of("manuals/ch47.PDF.gz"), doc_id_of("notes")
    ('manuals/ch47', 'notes')
    """
    suffix = next((suffix for suffix in reversed(SUFFIXES) if file.lower().endswith(suffix)), "")
    return file[: len(file) - len(suffix)]


def find_sources(pdf_dir: Path) -> tuple[list[Source], list[Problem]]:
    """The PDFs below a folder by document id, and what is left out, each with its reason.

    Raises ``InputError`` if there is no such folder, or no PDF in it.
    """
    if not pdf_dir.is_dir():
        raise InputError(f"--pdf-dir {pdf_dir}: no such folder")
    sources: dict[str, Source] = {}
    problems: list[Problem] = []
    for file in sorted(
        files_below(pdf_dir, SUFFIXES, problems), key=lambda file: (doc_id_of(file), len(file), file)
    ):
        doc_id = doc_id_of(file)
        reason = refusal(pdf_dir, file)
        if reason is None and doc_id in sources:
            reason = f"has the same document id as {sources[doc_id].file}, which is used; rename one"
        if reason is None:
            try:
                sources[doc_id] = Source(doc_id, file, sha256_file(pdf_dir / file))
            except OSError as error:
                reason = f"cannot be read ({error.strerror})"
        if reason is not None:
            problems.append(Problem(where=printable(file), reason=reason))
    if not sources and not problems:
        raise InputError(f"--pdf-dir {pdf_dir}: holds no .pdf or .pdf.gz file")
    return sorted(sources.values()), problems + copied(sources.values())


def open_pdf(path: Path, max_unpacked_bytes: int = MAX_UNPACKED_BYTES) -> Any:
    """Open a ``.pdf`` or ``.pdf.gz`` file; raises ``UnreadablePdfError`` with the reason if that fails."""
    try:
        with path.open("rb") as raw:
            head = raw.read(1024)
        if head.startswith(b"\x1f\x8b"):
            data = _unpack(path, max_unpacked_bytes)
            _check_head(data[:1024])
            document = pymupdf.open(stream=data, filetype="pdf")
        else:
            _check_head(head)
            document = pymupdf.open(path, filetype="pdf")
        return _checked(document)
    except OSError as error:
        raise UnreadablePdfError(one_line(error)) from error
    except PDF_ERRORS as error:
        raise UnreadablePdfError(f"cannot be opened ({one_line(error)})") from error


def one_line(error: Exception) -> str:
    """What an error says, in one line of at most 200 characters."""
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return clean_text(" ".join(message.split()))[:200] or type(error).__name__


def copied(sources: Iterable[Source]) -> list[Problem]:
    """Documents that are in the corpus twice, whose copies compete for ranks."""
    first: dict[str, str] = {}
    return [
        Problem(where=source.file, reason=f"has the same bytes as {first[source.sha256]}; both are kept")
        for source in sorted(sources)
        if first.setdefault(source.sha256, source.file) != source.file
    ]


def _unpack(path: Path, max_bytes: int) -> bytes:
    try:
        with gzip.open(path) as file:
            data = file.read(max_bytes + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadablePdfError(f"damaged gzip file ({one_line(error)})") from error
    if len(data) > max_bytes:
        raise UnreadablePdfError(f"unpacks to more than {max_bytes} bytes")
    return data


def _check_head(head: bytes) -> None:
    if not head:
        raise UnreadablePdfError("empty file")
    if b"%PDF-" not in head:
        raise UnreadablePdfError(f"not a PDF (it starts with {head[:8]!r})")


def _checked(document: Any) -> Any:
    if document.needs_pass:
        reason = "encrypted; needs a password"
    elif not document.is_pdf:
        reason = "not a PDF"
    elif document.page_count == 0:
        reason = "damaged beyond repair: no page found" if document.is_repaired else "has no pages"
    elif document.page_count > MAX_PAGES:
        reason = f"claims to have {document.page_count} pages"
    else:
        return document
    document.close()
    raise UnreadablePdfError(reason)
