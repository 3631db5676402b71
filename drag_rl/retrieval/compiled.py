"""Loops over arrays as machine code, by numba: it takes its time to import, so import what uses this late."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """A function that is compiled when it is first called and then kept on disk; it runs without Python's lock.

    Where nothing can be kept on disk, each process compiles it anew.
    """
    try:
        made: F = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        made = numba.njit(nogil=True)(function)
    return made
