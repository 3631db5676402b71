"""``drag ask``: one question, from search to cited answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from drag_rl.cli.session_options import asks_a_searcher
from drag_rl.console import table_console
from drag_rl.errors import InputError
from drag_rl.handoff.options import SessionOptions
from drag_rl.policies.base import PolicyFailed
from drag_rl.serving.vllm_log import vllm_log

if TYPE_CHECKING:
    from drag_rl.handoff.asking import Step
    from drag_rl.handoff.session import Session
    from drag_rl.handoff.summary import Told
    from drag_rl.types import Question

Show = Callable[["Step"], None]
OPENED_PAGES = 5
"""Pages that ``--open`` shows, at most."""


@asks_a_searcher
def ask(
    *,
    question: Annotated[list[str] | None, typer.Argument(help="The question.", show_default=False)] = None,
    session: SessionOptions,
    scope: Annotated[
        str,
        typer.Option(metavar="DOC", help="Search this document only.", show_default="the whole corpus"),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, at the end.")] = False,
    open_pages: Annotated[
        bool, typer.Option("--open", help="Show the images of the cited pages; needs --pages.")
    ] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Say where the time went.")] = False,
) -> None:
    """Ask one question: search, then answer with citations of pages.

    Without --generator the searcher answers; one that only searches (--episode answer=false) lists its pages.
    """
    from drag_rl.cli.ask_view import AskView, timings_table
    from drag_rl.handoff.session import asked_question, open_session
    from drag_rl.handoff.summary import summary

    asked = asked_question(" ".join(question or ()), scope)
    policy = replace(session.policy, timed=timings)
    if open_pages and policy.pages is None:
        raise InputError("--open needs --pages, the folder of pages with the images")
    options = replace(session, policy=policy)
    startup = options.source().startup
    console = Console(highlight=False, stderr=True) if as_json else table_console()
    with ExitStack() as stack:
        log = stack.enter_context(vllm_log())
        with console.status(startup) if startup else nullcontext():
            opened = stack.enter_context(open_session(options, log))
        view = AskView(console, opened.retriever.pages, opened.generator)
        with nullcontext() if as_json else console.status("searching"):
            told = asyncio.run(_told(opened, asked, None if as_json else view.show))
        if as_json:
            said = summary(told, opened.searcher, opened.generator)
            typer.echo(json.dumps(said, ensure_ascii=False, indent=1))
        if timings:
            console.print()
            console.print(timings_table(told))
        if open_pages:
            assert policy.pages is not None
            answer = told.answered.answer
            page_ids = answer.citations if answer else told.answered.page_ids
            _open(policy.pages, policy.max_pixels, page_ids[:OPENED_PAGES], console)


async def _told(session: Session, question: Question, show: Show | None) -> Told:
    """Ask, showing each step as it comes, and keep them."""
    from drag_rl.handoff.summary import told_by

    async def shown() -> Told:
        async with aclosing(session.ask(question)) as steps:
            return await told_by(steps, show)

    try:
        return await shown()
    except PolicyFailed as error:
        raise InputError(f"a model's server failed: {error}") from error
    finally:
        await session.close()


def _open(folder: Path, max_pixels: int, page_ids: Sequence[str], console: Console) -> None:
    """Show the images of pages where there is a display, else say where they are."""
    from drag_rl.corpus.images import PageImages

    images = PageImages(folder, max_pixels=max_pixels)
    display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    for page_id in page_ids:
        path = images.shown_path(page_id)
        console.print(f"{page_id}: {path}", markup=False, soft_wrap=True)
        if display:
            typer.launch(str(path))
    if not page_ids:
        console.print("No page is cited, so none is shown.")
