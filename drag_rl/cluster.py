"""The Ray cluster that a command works on, and what is said when it fails."""

from __future__ import annotations

from typing import Any

from drag_rl.errors import InputError

LOST_TASKS = 3
"""How often a task is done again whose process or node is lost; as often an actor is restarted."""


def joined_ray(option: str) -> Any:
    """Ray, connected: to the cluster that this process is part of, or that ``RAY_ADDRESS`` names, or that runs on this
    machine, or else to one that is started for this process. Raises ``InputError`` naming the option that needs it."""
    try:
        import ray
    except ImportError as error:
        raise InputError(f"{option} needs Ray ({error}): pip install ray") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    return ray


def cause_of(error: Exception) -> str:
    """The last line of what Ray says, which is its reason."""
    lines = str(error).strip().splitlines()
    name = f"{InputError.__module__}.{InputError.__name__}: "
    return lines[-1].strip().removeprefix(name) if lines else type(error).__name__
