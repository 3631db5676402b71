"""What the commands ask for that serve: ``drag serve``, ``drag agent`` and ``drag mcp --http``."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from drag_rl.cli.option_groups import expands
from drag_rl.errors import InputError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_HOST_NAME = re.compile(r"\*|(\*\.)?[\w.-]+|\[[0-9a-fA-F:.]+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """Where a command listens, and under which names it is asked."""

    port: int
    host: str
    allow_hosts: tuple[str, ...]

    def listening(self) -> socket.socket:
        """The socket. Raises InputError that names the option that is wrong."""
        from drag_rl.service.server import bound_socket

        return bound_socket(self.host, self.port)

    def names(self, listening: socket.socket) -> tuple[str, ...]:
        """The names that it may be asked under; see :mod:`drag_rl.service.hosts`."""
        from drag_rl.service.hosts import allowed_names

        return allowed_names(listening, self.allow_hosts)

    def run(
        self, app: ASGIApp, listening: socket.socket, timeout_s: float, token: str | None, console: Console
    ) -> None:
        """Serve until the command is told to end; say so where everybody may ask."""
        from drag_rl.service.hosts import asked_by_name
        from drag_rl.service.server import is_loopback, run

        if token is None and not is_loopback(listening):
            console.print(
                "Everybody who reaches this address may ask: set DRAG_SERVICE_TOKEN to change that."
            )
        run(asked_by_name(app, self.names(listening)), listening, timeout_s)


def service_options(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines ask.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A further name that clients may call this machine, such as a proxy's; repeat it. By default "
            "those of loopback, and every name where --host is another address.",
        ),
    ] = None,
) -> ServiceOptions:
    """What a command line says of a service; see :func:`serves`. Raises InputError for what is no name."""
    for name in allow_host or ():
        if not _HOST_NAME.fullmatch(name):
            raise InputError(f"--allow-host {name}: is no host name; give it without http:// and port")
    return ServiceOptions(port=port, host=host, allow_hosts=tuple(allow_host or ()))


def serves(*, port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of :func:`service_options` in place of its argument ``service``.

    ``port`` is the command's default for ``--port``.
    """
    return expands("service", service_options, {"port": port})
