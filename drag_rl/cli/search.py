"""``drag search``: ask an index by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drag_rl.retrieval.sparse.index import SearchIndex


def search(
    query: Annotated[list[str], typer.Argument(help="Words to search for.", show_default=False)],
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    top_k: Annotated[int, typer.Option(min=1, help="How many pages to show.")] = 3,
    snippet_chars: Annotated[int, typer.Option(min=0, help="Length of each snippet; 0 for none.")] = 400,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of hits, best first.")] = False,
) -> None:
    """Show the pages that fit a query best."""
    words = " ".join(query)
    hits = SearchIndex.load(index).search(words, top_k, snippet_chars=snippet_chars).hits
    if as_json:
        typer.echo(json.dumps([asdict(hit) for hit in hits], ensure_ascii=False, indent=1))
        return
    if not hits:
        Console().print(Text(f"No page has a word of: {words}"))
        return
    table = Table("rank", "page", "score", "snippet", show_lines=True)
    for hit in hits:
        table.add_row(str(hit.rank), Text(hit.page_id), f"{hit.score:.2f}", Text(hit.snippet))
    Console().print(table)
