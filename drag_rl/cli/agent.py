"""``drag agent``: a searcher, with or without a generator, as one model behind OpenAI's chat API."""

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

EXTRA = "drag agent needs fastapi and uvicorn: pip install 'drag-rl[serve]'"


@asks_a_searcher
@serves(port=8001)
def agent(
    *,
    session: SessionOptions,
    service: ServiceOptions,
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
        from drag_rl.service.server import service_token, url_of
    except ImportError as error:
        raise InputError(f"{EXTRA} ({error})") from error
    from drag_rl.handoff.session import open_session

    token = service_token()
    startup = session.source().startup
    images = images_of(session.policy.pages)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    with service.listening() as listening, ExitStack() as stack:
        log = stack.enter_context(vllm_log())
        with console.status(startup) if startup else nullcontext():
            opened = stack.enter_context(open_session(session, log))
        limits = AgentLimits(concurrency=concurrency, timeout_s=answer_timeout_s)
        app = agent_app(opened, limits, model=served_name, token=token, images=images)
        answers = f"answered by {opened.generator.options.model}" if opened.generator else "no generator"
        pages = len(opened.retriever.pages)
        console.print(
            f"Serving {opened.searcher} over {pages} pages, {answers}, as model {served_name!r} at "
            f"{url_of(listening)}/v1"
        )
        console.print(f"Its web page is {url_of(listening)}/")
        service.run(app, listening, answer_timeout_s, token, console)
