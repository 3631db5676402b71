"""What holds for all tests: verl's platform is chosen before anything imports it, and unit tests are fast."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("VERL_PLATFORM", "cpu")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and what tests interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["drag_rl/cpu/vllm_server.py"]
"""It has no doctest, and imports vLLM, which alone takes as long as a quarter of the unit tests."""

TESTS = Path(__file__).parent / "tests"

FAST_S = 2.0
"""CPU seconds of a test that is not marked slow: its own, and those of processes that it started and waited for."""
MANY_MODULES = 50
"""A test that imports so many modules is the first of its process to need a library; another time it is not."""


LANES = (
    "tests/verl_plugin/",
    "tests/serving/test_vllm_server.py",
    "tests/star/test_star.py",
    "tests/training/",
    "tests/models/",
    "tests/view/",
)
"""Slow tests that stay on one worker, for what they share (memory for a training, a server, a run), longest first."""


def lane(nodeid: str) -> str:
    """What stays together: a folder of LANES, else a file."""
    return next((start for start in LANES if nodeid.startswith(start)), nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadgroup`` groups are lanes: pytest-xdist 3.8 does not see its own marks under pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Lanes(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return lane(nodeid)

    return Lanes(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the slow tests, let the longest lane start first."""
    if getattr(config.option, "loadgroup", False):
        order = {start: position for position, start in enumerate(LANES)}
        items.sort(key=lambda item: order.get(lane(item.nodeid), len(LANES)))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """What helps tests holds no doctests: it is imported by those that it helps, not by every process that runs any."""
    helps = collection_path.suffix == ".py" and not collection_path.name.startswith("test_")
    return True if helps and collection_path.is_relative_to(TESTS) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect no garbage while tests are, nor ever go through what that made: millions of objects that stay.

    torch, transformers and verl are in a worker's memory, and a full garbage collection takes as long as many a test.
    Unit tests, some of which import them later, leave little garbage: collecting it as often as Python does took a
    tenth of their time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
        if "not slow" in session.config.getoption("markexpr"):
            gc.set_threshold(50_000, 20, 20)


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
