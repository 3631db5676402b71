"""How many CPUs this process may use, which a container or `taskset` can make fewer than the machine has."""

from __future__ import annotations

import os


def usable_cpus() -> int:
    """At least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
