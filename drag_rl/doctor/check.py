"""What a look at one part of a set-up gives: well, doubtful or wrong, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from drag_rl.errors import InputError

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    """``warn``: a training would run, but may learn less. ``fail``: it would not run, or learn nothing."""
    detail: str
    """What was found; what to do unless all is well."""

    @property
    def ok(self) -> bool:
        """Whether a training may start."""
        return self.status != "fail"


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a look found that does not stop a training, but may spoil it; and what to do."""

    detail: str


def checked(name: str, look: Callable[[], str | Doubt]) -> Check:
    """The check of this name: what ``look`` returns, or a failure with what it says as it raises.

    A server that does not answer, or a file that cannot be read, is a failure as wrong input is.
    """
    try:
        found = look()
    except (InputError, OSError, RuntimeError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return Check(name=name, status="fail", detail=said)
    if isinstance(found, Doubt):
        return Check(name=name, status="warn", detail=found.detail)
    return Check(name=name, status="ok", detail=found)
