"""verl's platform is chosen before anything imports it: the CPU where there is no GPU."""

from __future__ import annotations

import os
import shutil

if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("VERL_PLATFORM", "cpu")

collect_ignore = ["drag_rl/cpu/vllm_server.py"]
"""It has no doctest, and imports vLLM, which alone takes as long as a quarter of the unit tests."""

collect_ignore_glob = ["tests/*/conftest.py"]
"""They hold no doctests, and several modules of one name can not be collected in one run."""
