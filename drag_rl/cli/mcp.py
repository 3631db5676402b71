"""``drag mcp``: an index and a searcher as tools for other agents, by the Model Context Protocol."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.cli.generator_options import may_ask_a_generator
from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.cli.rollout_options import plays_a_policy
from drag_rl.cli.searcher_option import SearcherName, with_searcher
from drag_rl.errors import InputError
from drag_rl.handoff.options import GeneratorOptions
from drag_rl.policies.source import PolicyOptions
from drag_rl.serving.vllm_log import vllm_log

EXTRA = "drag mcp needs mcp, fastapi and uvicorn: pip install 'drag-rl[serve]'"


@may_ask_a_generator
@plays_a_policy(sampling="greedy")
def mcp(
    *,
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    searcher: SearcherName = None,
    policy: PolicyOptions,
    generator: GeneratorOptions | None,
    episode: EpisodeSettings = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve by HTTP, at /mcp; else by standard input and output.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of --http; 0 takes a free one.")] = 8002,
    host: Annotated[str, typer.Option(help="Address of --http to listen on.")] = "127.0.0.1",
    page_url: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Where a page can be opened: https://docs.example/{document}.pdf#page={page}. By default our own "
            "server with --http, the file with --pages.",
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
        from drag_rl.service.mcp_tools import mcp_server
        from drag_rl.service.server import bound_socket, run, service_token, url_of
        from drag_rl.service.token_guard import TokenGuard
    except ImportError as error:
        raise InputError(f"{EXTRA} ({error})") from error
    from drag_rl.handoff.session import SessionOptions, open_session
    from drag_rl.retrieval import open_retriever

    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    with ExitStack() as stack:
        listening = stack.enter_context(bound_socket(host, port)) if http else None
        if page_url is not None:
            opens = page_urls.by_template(page_url)
        elif listening is not None:
            opens = page_urls.served_at(url_of(listening))
        else:
            opens = page_urls.in_files(policy.pages) if policy.pages else page_urls.by_name
        session = None
        if searcher is not None or policy.name != "model" or policy.model.base_url or policy.model.model_path:
            options = SessionOptions(
                index=index,
                policy=with_searcher(searcher, policy),
                generator=replace(generator, pages=policy.pages) if generator else None,
                episode=episode_config(episode),
            )
            startup = options.source().startup
            log = stack.enter_context(vllm_log())
            with console.status(startup) if startup else nullcontext():
                session = stack.enter_context(open_session(options, log))
        retriever = session.retriever if session else open_retriever(index, policy.pages)
        server = mcp_server(
            retriever, session, opens, top_k=top_k, timeout_s=answer_timeout_s, concurrency=concurrency
        )
        if listening is None:
            anyio.run(server.run_stdio_async)
            return
        token = service_token()
        app = server.streamable_http_app(host=host)
        console.print(f"Serving {len(retriever.pages)} pages of {index} at {url_of(listening)}/mcp")
        run(TokenGuard(app, token) if token else app, listening, answer_timeout_s)
