"""``drag search``: ask an index by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.cli.search_prompt import SearchPrompt
from drag_rl.errors import InputError
from drag_rl.retrieval import open_retriever


def search(
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    query: Annotated[
        list[str] | None, typer.Argument(help="Words to search for.", show_default=False)
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="How many pages to show.")] = 3,
    snippet_chars: Annotated[int, typer.Option(min=0, help="Length of each snippet; 0 for none.")] = 400,
    scope: Annotated[
        str | None, typer.Option(metavar="DOC", help="Search the pages of this document only.")
    ] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Ask for query after query; :h there lists what else.")
    ] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Say how long each search took.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of hits, best first.")] = False,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Draw which parts of the best page's image match the query's words; needs an index with a late part.",
        ),
    ] = None,
    explain_page: Annotated[
        str | None,
        typer.Option(
            metavar="PAGE_ID", help="Draw that of this page, found or not; a number is a hit's rank."
        ),
    ] = None,
) -> None:
    """Show the pages that fit a query best."""
    if interactive and as_json:
        raise InputError("--json is for one query; leave out --interactive, or --json")
    if not query and not interactive:
        raise InputError("QUERY is missing: words to search for, or --interactive")
    if explain and (interactive or not query):
        raise InputError("--explain is for one query; leave out --interactive, which has :explain OUT.png")
    if explain_page and not explain:
        raise InputError("--explain-page needs --explain OUT.png, the picture to write")
    if explain:
        from drag_rl.retrieval.late.heat_drawing import claim_picture

        claim_picture(explain)
    prompt = SearchPrompt(
        open_retriever(index),
        Console(),
        top_k=top_k,
        snippet_chars=snippet_chars,
        scope=scope,
        timings=timings,
    )
    words = " ".join(query or ())
    if as_json:
        hits = prompt.search(words)
        typer.echo(json.dumps([asdict(hit) for hit in hits], ensure_ascii=False, indent=1))
        if timings:
            typer.echo(prompt.took, err=True)
    elif words:
        prompt.show(words)
    if explain:
        typer.echo(prompt.explain(explain, explain_page), err=True)
    if interactive:
        prompt.run()
