"""What a build tells of itself while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class BuildProgress:
    """Keeps it to itself; a subclass shows it."""

    def at(self, step: str, pages: int, of: int) -> None:
        """So many pages of ``of`` are through a step; 0 of 0 where a step cannot tell."""

    def taken_over(self, documents: int, of: int) -> None:
        """What the present index knows of so many documents of ``of`` is used again."""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While it lasts, :func:`present_progress` is this one."""
        token = _PRESENT.set(self)
        try:
            yield
        finally:
            _PRESENT.reset(token)


_PRESENT: ContextVar[BuildProgress] = ContextVar("present_progress")


def present_progress() -> BuildProgress:
    """What a back end tells of its own steps while it is written."""
    return _PRESENT.get(BuildProgress())
