"""``drag agent``: a searcher, with or without a generator, as one model behind OpenAI's chat API."""

from __future__ import annotations

import ipaddress
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

EXTRA = "drag agent needs fastapi and uvicorn: pip install 'drag-rl[serve]'"


@may_ask_a_generator
@plays_a_policy(sampling="greedy")
def agent(
    *,
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    searcher: SearcherName = None,
    policy: PolicyOptions,
    generator: GeneratorOptions | None,
    episode: EpisodeSettings = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8001,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines ask.")
    ] = "127.0.0.1",
    served_name: Annotated[str, typer.Option(metavar="NAME", help="The agent's name as a model.")] = "drag",
    concurrency: Annotated[
        int, typer.Option(min=1, help="Questions at once; further ones are told to come again.")
    ] = 64,
    answer_timeout_s: Annotated[
        float, typer.Option(min=0.1, help="Limit of one question, in seconds.")
    ] = 300.0,
) -> None:
    """Serve a searcher as a model: POST /v1/chat/completions (streamed or not), GET /v1/models and /health.

    Each question is searched, then answered with citations, as `drag ask` does. With DRAG_SERVICE_TOKEN in the
    environment, clients must send it as their API key. The address itself is a web page to ask at; with --pages it
    shows page images.
    """
    try:
        from drag_rl.service.agent.app import agent_app
        from drag_rl.service.agent.endpoint import AgentLimits
        from drag_rl.service.agent.web import images_of
        from drag_rl.service.server import bound_socket, run, service_token, url_of
    except ImportError as error:
        raise InputError(f"{EXTRA} ({error})") from error
    from drag_rl.handoff.session import SessionOptions, open_session

    token = service_token()
    options = SessionOptions(
        index=index,
        policy=with_searcher(searcher, policy),
        generator=replace(generator, pages=policy.pages) if generator else None,
        episode=episode_config(episode),
    )
    startup = options.source().startup
    images = images_of(policy.pages)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    with bound_socket(host, port) as listening, ExitStack() as stack:
        log = stack.enter_context(vllm_log())
        with console.status(startup) if startup else nullcontext():
            session = stack.enter_context(open_session(options, log))
        limits = AgentLimits(concurrency=concurrency, timeout_s=answer_timeout_s)
        app = agent_app(session, limits, model=served_name, token=token, images=images)
        answers = f"answered by {session.generator.options.model}" if session.generator else "no generator"
        pages = len(session.retriever.pages)
        console.print(
            f"Serving {session.searcher} over {pages} pages, {answers}, as model {served_name!r} at "
            f"{url_of(listening)}/v1"
        )
        console.print(f"Its web page is {url_of(listening)}/")
        address = str(listening.getsockname()[0])
        if token is None and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            console.print(
                "Everybody who reaches this address may ask: set DRAG_SERVICE_TOKEN to change that."
            )
        run(app, listening, answer_timeout_s)
