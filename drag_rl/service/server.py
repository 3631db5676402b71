"""Running the service: a socket, a token, and an end that answers what has been asked."""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import socket
from collections.abc import Mapping

import uvicorn
from starlette.types import ASGIApp

from drag_rl.errors import InputError

TOKEN_VARIABLE = "DRAG_SERVICE_TOKEN"
KEEP_ALIVE_S = 75
"""Longer than clients keep an idle connection, so that it is they who close it, not we under a request of theirs."""


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ``InputError`` that names the option that is wrong."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host}: is no address of this machine ({error})") from error
    try:
        return socket.create_server(address[:2], family=family, backlog=2048)
    except PermissionError as error:
        raise InputError(f"--port {port}: is not yours to use; give one above 1023") from error
    except OSError as error:
        raise InputError(f"--host {host} --port {port}: cannot be used ({error.strerror})") from error


def address_of(listening: socket.socket) -> str:
    """The address of a listening socket as it stands in a URL, without its port."""
    address = str(listening.getsockname()[0])
    return f"[{address}]" if ":" in address else address


def url_of(listening: socket.socket) -> str:
    """The address of a listening socket as a URL."""
    return f"http://{address_of(listening)}:{listening.getsockname()[1]}"


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine reaches a socket."""
    address = str(listening.getsockname()[0])
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def service_token(environment: Mapping[str, str] | None = None) -> str | None:
    """The token of the environment, None without one. Raises ``InputError`` for one that cannot be sent."""
    token = (os.environ if environment is None else environment).get(TOKEN_VARIABLE, "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise InputError(f"{TOKEN_VARIABLE}: has characters that no token has; set it again")
    return token or None


def server_of(app: ASGIApp, timeout_s: float) -> uvicorn.Server:
    """The server; when it is told to end it finishes what has been asked, within ``timeout_s``."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(timeout_s)),
    )
    return uvicorn.Server(config)


def run(app: ASGIApp, listening: socket.socket, timeout_s: float) -> None:
    """Serve until SIGTERM or SIGINT; returns once every request that has come is answered."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server raises what ended it once more when it is done: that end is a good one.
        signal.signal(number, lambda *_: None)
    gc.collect()

    gc.freeze()  # what is there now stays: to look through it again and again would halt all requests
    server_of(app, timeout_s).run(sockets=[listening])
