"""Addresses that open a page, for tools whose clients cite only what has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from drag_rl.corpus.pages import PAGES_FILE, pages_manifest, source_dir_of
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.files.parquet import iter_rows
from drag_rl.handoff.summary import place_of
from drag_rl.retrieval.index_folder import pages_dir_of
from drag_rl.service.token_guard import KEY, key_of

PageUrl = Callable[[str, str | None], str]
"""From a page id, and the ``Host`` under which a client asked (None: not by HTTP), to an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The columns of ``types.Page`` that say where a page comes from."""

    page_id: str
    page_number: int
    source_file: str


def served_at(base: str, token: str | None = None) -> PageUrl:
    """Pages that our own server shows, under the name by which it was asked; signed where it wants a token.

    >>> served_at("http://127.0.0.1:8002")("manuals/pump#12", "localhost:8002")
    'http://localhost:8002/pages/manuals/pump%2312'
    """

    def url_of(page_id: str, host: str | None) -> str:
        path = f"/pages/{page_id}"
        key = f"?{KEY}={key_of(token, path)}" if token else ""
        return f"{f'http://{host}' if host else base}{quote(path)}{key}"

    return url_of


def by_template(template: str) -> PageUrl:
    """Pages of a web site of the user's. Raises InputError for a template that names no page.

    >>> by_template("https://docs.example/{document}.pdf#page={page}")("manuals/the pump#12", None)
    'https://docs.example/manuals/the%20pump.pdf#page=12'
    """
    if "{document}" not in template and "{page_id}" not in template:
        raise InputError(
            f"--page-url {template}: names no page; write {{document}} and {{page}}, or {{page_id}}, where they belong"
        )

    def url_of(page_id: str, host: str | None) -> str:
        del host
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

    @cache
    def urls() -> dict[str, str]:
        rows = iter_rows(pages_dir / PAGES_FILE, _Source)
        return {
            row.page_id: f"{(folder / row.source_file).resolve().as_uri()}#page={row.page_number}"
            for row in rows
        }

    return lambda page_id, host: urls().get(page_id) or as_resource(page_id, host)


def of_index(index_dir: Path) -> PageUrl:
    """Pages in the files that an index was made from, where they are still there; else as resources."""
    pages_dir = pages_dir_of(index_dir, read_manifest(index_dir))
    if pages_dir is None:
        return as_resource
    try:
        return in_files(pages_dir)
    except InputError:
        return as_resource


def as_resource(page_id: str, host: str | None) -> str:
    """A resource of the protocol, which the client opens by ``resources/read``, for want of a file.

    >>> as_resource("manuals/pump#12", None)
    'drag://pages/manuals%2Fpump%2312'
    """
    del host
    return f"drag://pages/{quote(page_id, safe='')}"
