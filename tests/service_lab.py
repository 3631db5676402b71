"""Services that run beside a test: a real uvicorn on loopback, in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from drag_rl.service.server import bound_socket, server_of

Scope = dict[str, Any]


@contextmanager
def running(app: Any, port: int = 0) -> Iterator[str]:
    """The address of an application that is served until the end."""
    with bound_socket("127.0.0.1", port) as listening:
        server = server_of(app, timeout_s=10)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def mounted(apps: Mapping[str, Any]) -> Any:
    """One application of several, by the first part of the address; ``apps`` may grow while it runs."""

    async def dispatch(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        _, name, rest = scope["path"].split("/", 2)
        await apps[name](scope | {"path": f"/{rest}", "raw_path": f"/{rest}".encode()}, receive, send)

    return dispatch
