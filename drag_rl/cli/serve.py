"""``drag serve``: an index behind HTTP, in the protocol of Search-R1's retrieval server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.cli.service_options import ServiceOptions, serves
from drag_rl.errors import InputError

EXTRA = "drag serve needs fastapi, uvicorn and prometheus-client: pip install 'drag-rl[serve]'"


@serves(port=8000)
def serve(
    *,
    index: Annotated[Path, typer.Option(help="Index made by `drag index`, of any kind.")],
    service: ServiceOptions,
    top_k: Annotated[
        int, typer.Option(min=1, max=1000, help="Hits of a query where a request does not say.")
    ] = 3,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Requests at once; further ones are told to come again.")
    ] = 512,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Limit of one request, in seconds.")] = 60.0,
) -> None:
    """Serve an index: POST /retrieve, GET /health, /metrics and /pages.

    A new index that `drag index` puts in the folder's place is taken in while requests go on. With DRAG_SERVICE_TOKEN
    in the environment, clients must send it.
    """
    try:
        from drag_rl.service.app import service_app
        from drag_rl.service.limits import Limits
        from drag_rl.service.live_index import LiveIndex
        from drag_rl.service.server import service_token, url_of
    except ImportError as error:
        raise InputError(f"{EXTRA} ({error})") from error
    token = service_token()
    with service.listening() as listening:
        live = LiveIndex(index)
        limits = Limits(concurrency=concurrency, timeout_s=timeout_s)
        app = service_app(live, limits, top_k=top_k, token=token)
        console = Console(soft_wrap=True, markup=False, highlight=False)
        pages = len(live.now.retriever.pages)
        console.print(f"Serving {pages} pages ({live.now.kind}) of {index} at {url_of(listening)}")
        service.run(app, listening, timeout_s, token, console)
