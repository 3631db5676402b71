"""Loops over arrays as machine code, by numba: it takes its time to import, so import what uses this late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """A function that is compiled when it is first called and then kept on disk; it runs without Python's lock.

    Where nothing can be kept on disk, each process compiles it anew.
    """
    return _compiled(function)


def compiled_reordering(function: F) -> F:
    """The same where sums of floats may be added up in another order, several at a time: the last bits differ from
    Python's, and are the same each time."""
    return _compiled(function, fastmath={"contract", "nsz", "reassoc"})


def _compiled(function: F, **flags: Any) -> F:
    try:
        made: F = numba.njit(nogil=True, cache=True, **flags)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        made = numba.njit(nogil=True, **flags)(function)
    return made
