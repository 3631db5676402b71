"""``drag search``: ask an index by hand."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drag_rl.retrieval import Query, open_retriever


def search(
    query: Annotated[list[str], typer.Argument(help="Words to search for.", show_default=False)],
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    top_k: Annotated[int, typer.Option(min=1, help="How many pages to show.")] = 3,
    snippet_chars: Annotated[int, typer.Option(min=0, help="Length of each snippet; 0 for none.")] = 400,
    scope: Annotated[
        str | None, typer.Option(metavar="DOC", help="Search the pages of this document only.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of hits, best first.")] = False,
) -> None:
    """Show the pages that fit a query best."""
    words = " ".join(query)
    retriever = open_retriever(index)
    (ranking,) = asyncio.run(retriever.search([Query(text=words, scope=scope)], top_k))
    pages = retriever.pages
    hits = [replace(hit, snippet=pages.snippet(hit.page_id, words, snippet_chars)) for hit in ranking.hits]
    if as_json:
        typer.echo(json.dumps([asdict(hit) for hit in hits], ensure_ascii=False, indent=1))
        return
    if not hits:
        Console().print(Text(f"No page{'' if scope is None else f' of {scope}'} matches: {words}"))
        return
    table = Table("rank", "page", "score", "snippet", show_lines=True)
    for hit in hits:
        table.add_row(str(hit.rank), Text(hit.page_id), f"{hit.score:.2f}", Text(hit.snippet))
    Console().print(table)
