"""The report: one HTML file that needs nothing else and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from drag_rl import __version__
from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_write
from drag_rl.view.heat import Heat, Match
from drag_rl.view.payload import to_script_text
from drag_rl.view.thumbnails import Thumbnail

SCRIPTS = (
    "text.js",
    "store.js",
    "filters.js",
    "list.js",
    "heat.js",
    "parts.js",
    "detail.js",
    "curves.js",
    "main.js",
)
"""Joined in this order into the page's one script."""
GENERATOR = b'<meta name="generator" content="drag-rl '
HEAD_BYTES = 4096
"""In which a report names its generator."""


def write_report(
    data: dict[str, Any],
    pictures: Mapping[str, Thumbnail],
    title: str,
    out: Path,
    heat: Mapping[Match, Heat] | None = None,
) -> int:
    """Write the report of a :func:`drag_rl.view.payload.payload`, its pictures by page id and the payload's heat maps.

    Returns its bytes. It is written whole or not at all. Raises ``OSError``.
    """
    page = render(data, pictures, title, heat).encode("utf-8", "replace")
    with atomic_write(out, "wb") as file:
        file.write(page)
    return len(page)


def claim_report(out: Path) -> None:
    """Raise ``InputError`` if another file than an earlier report is there."""
    if out.is_file() and out.stat().st_size:
        with out.open("rb") as file:
            if GENERATOR not in file.read(HEAD_BYTES):
                raise InputError(
                    f"--out {out}: is there, and is no report of `drag view`; give another --out"
                )


def render(
    data: dict[str, Any],
    pictures: Mapping[str, Thumbnail],
    title: str,
    heat: Mapping[Match, Heat] | None = None,
) -> str:
    """The page. Its policy lets exactly its own script and style act, and no address be fetched."""
    assets = files("drag_rl.view") / "assets"
    style = (assets / "report.css").read_text(encoding="utf-8")
    parts = "\n".join((assets / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((assets / "report.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        version=__version__,
        style=style,
        style_hash=_csp_hash(style),
        script=script,
        script_hash=_csp_hash(script),
        data=to_script_text(data),
        pictures=[
            (number, pictures[page_id].url)
            for number, page_id in enumerate(data["pages"])
            if page_id in pictures
        ],
        heat=[one.cells for one in (heat or {}).values()],
    )


def _csp_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
