"""Read pages from an OCR file: JSON lines, each one page or one whole document.

One page a line, under any of the names that OCR tools give the fields::

    {"file": "specs/ch47_manual.pdf", "page": 42, "text": "..."}

    document  file, pdf, document, doc_id, filename, source
    page      page, page_number, page_num            1-based
    text      text, content, ocr, ocr_text, markdown
    label     label, page_label                      optional: the printed page number

One document a line: ``pages`` is a list of texts, or of objects with the page's fields (``page`` may be
left out: then pages count from 1). Other fields are ignored. The document id is the name without ``.pdf``
or ``.pdf.gz``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drag_rl.corpus.clean_text import clean_text
from drag_rl.corpus.sources import doc_id_of
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem
from drag_rl.types import Page

DOCUMENT_FIELDS = ("file", "pdf", "document", "doc_id", "filename", "source")
PAGE_FIELDS = ("page", "page_number", "page_num")
TEXT_FIELDS = ("text", "content", "ocr", "ocr_text", "markdown")
LABEL_FIELDS = ("label", "page_label")


class _BadLineError(Exception):
    """A line or page cannot be read; the message says why."""


def read_ocr_file(path: Path, sha256: str) -> tuple[list[Page], list[Problem]]:
    """The pages of an OCR file by ``(doc_id, page_number)``, and why each line or page is left out.

    ``sha256`` is the file's. Raises ``InputError`` if the file cannot be read or holds no page.
    """
    pages: dict[tuple[str, int], Page] = {}
    problems: list[Problem] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                for found in _pages_of(line, number == 1):
                    if isinstance(found, str):
                        problems.append(Problem(where=f"line {number}", reason=found))
                        continue
                    doc_id, page_number, text, label = found
                    if (doc_id, page_number) in pages:
                        reason = f"page {doc_id}#{page_number} stands in the file twice; the first is used"
                        problems.append(Problem(where=f"line {number}", reason=reason))
                        continue
                    pages[doc_id, page_number] = _page(doc_id, page_number, text, label, sha256)
    except OSError as error:
        raise InputError(f"--ocr-file {path}: {error.strerror}") from error
    if not pages:
        first = f"{problems[0].where}: {problems[0].reason}" if problems else "it is empty"
        raise InputError(f"--ocr-file {path}: not one page can be read ({first})")
    return [pages[key] for key in sorted(pages)], problems


def document_of_file(name: str) -> str:
    """The document id that a file's name means, as in an OCR file; empty if there is none.

    >>> document_of_file("./specs/ch47_manual.pdf")
    'specs/ch47_manual'
    """
    clean = " ".join(clean_text(name).split()).replace("\\", "/")
    return doc_id_of(clean.removeprefix("./").lstrip("/"))


def _pages_of(line: bytes, is_first: bool) -> Iterator[tuple[str, int, str, str] | str]:
    """Document id, page number, text and label of each page on a line, or what is wrong with it."""
    if not line.strip():
        return
    try:
        row = json.loads(line.decode("utf-8-sig" if is_first else "utf-8"))
        if not isinstance(row, dict):
            raise _BadLineError("is not a JSON object")
        doc_id = _doc_id(row)
        if "pages" not in row:
            yield doc_id, _page_number(row, None), _text(row), _label(row)
            return
        if not isinstance(row["pages"], list):
            raise _BadLineError("'pages' is not a list")
    except UnicodeDecodeError as error:
        yield f"is not UTF-8 ({error.reason})"
    except (json.JSONDecodeError, RecursionError) as error:
        yield f"is not JSON ({error})"
    except ValueError:  # of json: a number that Python does not read, for the time that it would take
        yield "holds a number of thousands of digits"
    except _BadLineError as error:
        yield str(error)
    else:
        for position, page in enumerate(row["pages"], start=1):
            try:
                page = {"text": page} if isinstance(page, str) else page
                if not isinstance(page, dict):
                    raise _BadLineError("is neither a text nor an object")
                yield doc_id, _page_number(page, position), _text(page), _label(page)
            except _BadLineError as error:
                yield f"entry {position} of 'pages' {error}"


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _doc_id(row: Mapping[str, Any]) -> str:
    name = _first(row, DOCUMENT_FIELDS)
    if not isinstance(name, str) or not clean_text(name):
        raise _BadLineError(f"names no document (expected one of {', '.join(DOCUMENT_FIELDS)})")
    doc_id = document_of_file(name)
    if not doc_id:
        raise _BadLineError(f"names no document (found {name!r:.40})")
    return doc_id


def _page_number(row: Mapping[str, Any], default: int | None) -> int:
    value = _first(row, PAGE_FIELDS)
    if value is None and default is not None:
        return default
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 100:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise _BadLineError(f"has no page number from 1 on in {', '.join(PAGE_FIELDS)} (found {value!r:.40})")
    return value


def _text(row: Mapping[str, Any]) -> str:
    value = _first(row, TEXT_FIELDS)
    if value is None and any(name in row for name in TEXT_FIELDS):
        return ""
    if not isinstance(value, str):
        raise _BadLineError(f"has no text (expected one of {', '.join(TEXT_FIELDS)})")
    return clean_text(value)


def _label(row: Mapping[str, Any]) -> str:
    value = _first(row, LABEL_FIELDS)
    return " ".join(clean_text(str(value)).split())[:64] if isinstance(value, str | int | float) else ""


def _page(doc_id: str, number: int, text: str, label: str, sha256: str) -> Page:
    return Page(
        page_id=f"{doc_id}#{number}",
        doc_id=doc_id,
        page_number=number,
        label=label,
        text=text,
        width_pt=0.0,
        height_pt=0.0,
        source_file="",
        source_sha256=sha256,
        text_source="ocr" if text else "none",
        status="ok",
        reason="" if text else "the OCR file has no text for it",
    )
