"""Addresses that open a page, for tools whose clients cite only what has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from drag_rl.corpus.pages import PAGES_FILE, pages_manifest, source_dir_of
from drag_rl.errors import InputError
from drag_rl.files.parquet import iter_rows
from drag_rl.handoff.summary import place_of

PageUrl = Callable[[str], str]
"""From a page id to an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The columns of ``types.Page`` that say where a page comes from."""

    page_id: str
    page_number: int
    source_file: str


def served_at(base: str) -> PageUrl:
    """Pages that our own server shows.

    >>> served_at("http://localhost:8002")("manuals/pump#12")
    'http://localhost:8002/pages/manuals/pump%2312'
    """
    return lambda page_id: f"{base}/pages/{quote(page_id)}"


def by_template(template: str) -> PageUrl:
    """Pages of a web site of the user's. Raises InputError for a template that names no page.

    >>> by_template("https://docs.example/{document}.pdf#page={page}")("manuals/the pump#12")
    'https://docs.example/manuals/the%20pump.pdf#page=12'
    """
    if "{document}" not in template and "{page_id}" not in template:
        raise InputError(
            f"--page-url {template}: names no page; write {{document}} and {{page}}, or {{page_id}}, where they belong"
        )

    def url_of(page_id: str) -> str:
        place = place_of(page_id)
        values = {"document": place["document"], "page": str(place["page"]), "page_id": page_id}
        url = template
        for name, value in values.items():
            url = url.replace(f"{{{name}}}", quote(value))
        return url

    return url_of


def in_files(pages_dir: Path) -> PageUrl:
    """Pages in the files that a folder of pages was made from. Raises InputError where these are not known."""
    folder = source_dir_of(pages_dir, pages_manifest(pages_dir))
    if folder is None:
        raise InputError(f"{pages_dir}: made from an OCR file, so no file shows its pages; give --page-url")
    rows = iter_rows(pages_dir / PAGES_FILE, _Source)
    urls = {
        row.page_id: f"{(folder / row.source_file).resolve().as_uri()}#page={row.page_number}" for row in rows
    }
    return lambda page_id: urls.get(page_id, "")


def by_name(page_id: str) -> str:
    """A name in the place of an address, where none is known: it tells pages apart and opens nothing.

    >>> by_name("manuals/pump#12")
    'drag:manuals/pump%2312'
    """
    return f"drag:{quote(page_id)}"
