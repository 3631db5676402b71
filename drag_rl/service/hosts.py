"""The names under which a service may be asked.

A page of another site can have its own name point to this machine, and then read what a service on loopback answers
(DNS rebinding). Its browser still sends that name as ``Host``: what comes under a name that is not ours is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from drag_rl.service.server import address_of, is_loopback

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
EVERY_NAME = "*"


def allowed_names(listening: socket.socket, more: Sequence[str] = ()) -> tuple[str, ...]:
    """The names, without ports: those of loopback, the address that is listened on, and ``more``.

    A service that other machines reach is called what its users call it, so there every name is allowed unless
    ``more`` says which. ``*`` allows every name, ``*.example.com`` all below one.
    """
    if EVERY_NAME in more or not (more or is_loopback(listening)):
        return (EVERY_NAME,)
    return tuple(dict.fromkeys((*LOOPBACK_NAMES, address_of(listening), *more)))


def asked_by_name(app: ASGIApp, names: Sequence[str]) -> ASGIApp:
    """An application that answers only under these names, with any port."""
    return TrustedHostMiddleware(app, names, www_redirect=False)
