"""What holds for all tests: verl's platform is chosen before anything imports it, and unit tests are fast."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Generator

import pytest

if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("VERL_PLATFORM", "cpu")

collect_ignore = ["drag_rl/cpu/vllm_server.py"]
"""It has no doctest, and imports vLLM, which alone takes as long as a quarter of the unit tests."""

collect_ignore_glob = ["tests/*/conftest.py"]
"""They hold no doctests, and several modules of one name can not be collected in one run."""

FAST_S = 2.0
"""CPU seconds of a test that is not marked slow: its own, and those of processes that it started and waited for."""
MANY_MODULES = 50
"""A test that imports so many modules is the first of its process to need a library; another time it is not."""


LANES = ("rl", "vllm", "star", "sft", "smol", "view")
"""Groups of slow tests, each run by one worker, in the order in which they start: the longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where two workers share the slow tests, let the long groups start first."""
    if getattr(config.option, "loadgroup", False):
        items.sort(key=lane)


def lane(item: pytest.Item) -> int:
    """The position of a test's group; a test of none comes last."""
    mark = item.get_closest_marker("xdist_group")
    return LANES.index(mark.args[0]) if mark and mark.args[0] in LANES else len(LANES)


def cpu_seconds() -> float:
    """CPU time of this process and of the ended ones that it started; other programs on the machine add nothing."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a unit test that takes long."""
    started, modules = cpu_seconds(), len(sys.modules)
    yield
    took = cpu_seconds() - started
    imported = len(sys.modules) - modules
    if took > FAST_S and imported < MANY_MODULES and not item.get_closest_marker("slow"):
        pytest.fail(
            f"it took {took:.1f} s of CPU time: make it fast (the limit is {FAST_S:.0f} s), or mark it slow",
            pytrace=False,
        )
