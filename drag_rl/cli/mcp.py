"""``drag mcp``: an index and a searcher as tools for other agents, by the Model Context Protocol."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.cli.service_options import ServiceOptions, serves
from drag_rl.cli.session_options import asks_a_searcher
from drag_rl.errors import InputError
from drag_rl.handoff.options import SessionOptions
from drag_rl.serving.vllm_log import vllm_log

EXTRA = "drag mcp needs mcp, fastapi and uvicorn: pip install 'drag-rl[serve]'"


@asks_a_searcher
@serves(port=8002)
def mcp(
    *,
    session: SessionOptions,
    http: Annotated[
        bool, typer.Option("--http", help="Serve by HTTP, at /mcp; else by standard input and output.")
    ] = False,
    service: ServiceOptions,
    page_url: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Where a page can be opened: https://docs.example/{document}.pdf#page={page}. By default our own "
            "server with --http, else the file that the index was made from.",
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, max=100, help="Results of a search.")] = 10,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions of find_pages at once.")] = 16,
    answer_timeout_s: Annotated[
        float, typer.Option(min=0.1, help="Limit of one question, in seconds.")
    ] = 300.0,
) -> None:
    """Offer tools to other agents: search (keywords), fetch (a page) and, with a searcher, find_pages (a question).

    With DRAG_SERVICE_TOKEN in the environment, clients of --http must send it as a Bearer.
    """
    try:
        import anyio

        from drag_rl.service import page_urls
        from drag_rl.service.mcp_tools import mcp_server, only_under
        from drag_rl.service.server import service_token, url_of
        from drag_rl.service.token_guard import TokenGuard
    except ImportError as error:
        raise InputError(f"{EXTRA} ({error})") from error
    from drag_rl.handoff.session import open_session
    from drag_rl.retrieval import open_retriever

    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    index, pages = session.index, session.policy.pages
    with ExitStack() as stack:
        listening = stack.enter_context(service.listening()) if http else None
        token = service_token() if http else None
        if page_url is not None:
            opens = page_urls.by_template(page_url)
        elif listening is not None:
            opens = page_urls.served_at(url_of(listening), token)
        else:
            opens = page_urls.in_files(pages) if pages else page_urls.of_index(index)
        opened = None
        if session.names_a_searcher:
            startup = session.source().startup
            log = stack.enter_context(vllm_log())
            with console.status(startup) if startup else nullcontext():
                opened = stack.enter_context(open_session(session, log))
        retriever = opened.retriever if opened else open_retriever(index, pages)
        server = mcp_server(
            retriever, opened, opens, top_k=top_k, timeout_s=answer_timeout_s, concurrency=concurrency
        )
        if listening is None:
            anyio.run(server.run_stdio_async)
            return
        app = server.streamable_http_app(transport_security=only_under(service.names(listening)))
        console.print(f"Serving {len(retriever.pages)} pages of {index} at {url_of(listening)}/mcp")
        service.run(TokenGuard(app, token) if token else app, listening, answer_timeout_s, token, console)
