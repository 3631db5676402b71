"""The Ray cluster that a command works on, and what is said when it fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from drag_rl.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

LOST_TASKS = 3
"""How often a task is done again whose process or node is lost; as often an actor is restarted."""

AHEAD_PER_CPU = 2
"""Tasks for each CPU that are handed to Ray at a time."""


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


def cpus_of(ray: Any) -> int:
    """The CPUs of the cluster; raises ``InputError`` if it has none, as tasks would wait for ever."""
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if not cpus:
        raise InputError("--ray: the Ray cluster has no CPU; start a node with some (ray start --num-cpus)")
    return cpus


def map_on_cluster(function: Callable[[Item], Result], items: Iterable[Item], what: str) -> Iterator[Result]:
    """What ``map`` gives, worked out by Ray tasks of a CPU each, spread over the nodes.

    ``function`` is a function of a module that the nodes have. At most ``AHEAD_PER_CPU`` items for each CPU, with their
    results, are under way or wait for an earlier one, so that memory is bounded. What a lost node had is done again.

    Raises ``InputError`` without Ray or CPUs, and where the function does: ``what`` cannot be done, and why.
    """
    ray = joined_ray("--ray")
    task = ray.remote(num_cpus=1, max_retries=LOST_TASKS, scheduling_strategy="SPREAD")(function)
    waiting: deque[Any] = deque()
    try:
        for item in items:
            while len(waiting) >= AHEAD_PER_CPU * cpus_of(ray):
                yield ray.get(waiting.popleft())
            waiting.append(task.remote(item))
        while waiting:
            yield ray.get(waiting.popleft())
    except ray.exceptions.RayError as error:
        raise InputError(f"--ray: {what}: {cause_of(error)}") from error
    finally:
        for result in waiting:
            ray.cancel(result)


def cause_of(error: Exception) -> str:
    """The last line of what Ray says, which is its reason."""
    lines = str(error).strip().splitlines()
    name = f"{InputError.__module__}.{InputError.__name__}: "
    return lines[-1].strip().removeprefix(name) if lines else type(error).__name__
