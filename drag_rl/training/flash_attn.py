"""Install flash-attn where that is possible: ``python -m drag_rl.training.flash_attn`` (``scripts/setup.sh gpu``).

The package index has its source only: it needs a wheel that its authors publish for this PyTorch, or the CUDA compiler.
Trainings work without it (:mod:`drag_rl.training.launch.attention`), so nothing here stops a set-up.

``FLASH_ATTN`` in the environment: a wheel's path or address, ``build`` (compile even where no GPU answers) or ``none``.
``FLASH_ATTN_MINUTES`` bounds the attempt.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

REQUIREMENT = "flash-attn==2.8.3"
BUILD_TOOLS = ("wheel", "ninja", "packaging", "psutil", "setuptools")
"""Packages that its build imports."""
MINUTES = 30
LOST = "attention falls back to PyTorch's sdpa, which is slower and needs more memory for long batches"


@dataclass(frozen=True, slots=True)
class Plan:
    """A way to install flash-attn, or the reason for none."""

    requirement: str | None
    """What to give to pip; None means that nothing is installed."""
    why: str = ""
    """Why nothing is installed, or why it may fail."""
    environment: dict[str, str] = field(default_factory=dict)


def plan(asked: str, capability: str | None, nvcc: str | None, cuda: str | None) -> Plan:
    """What to try, by ``FLASH_ATTN``, the GPU's capability, the releases of nvcc and of PyTorch's CUDA (None: absent).

    >>> plan("", "9.0", "13.1", "13.0").environment
    {'FLASH_ATTN_CUDA_ARCHS': '90'}
    >>> plan("", None, "13.1", "13.0").why
    'no GPU answers; FLASH_ATTN=build compiles it all the same'
    """
    if asked == "none":
        return Plan(None, "FLASH_ATTN=none")
    if asked and asked != "build":
        return Plan(asked, f"{asked} does not fit")
    if not capability and not asked:
        return Plan(None, "no GPU answers; FLASH_ATTN=build compiles it all the same")
    if nvcc and cuda and nvcc.split(".")[0] == cuda.split(".")[0]:
        # Code for 8.0 runs on 8.6 and 8.9; each kind of GPU that is left out saves a part of the compilation.
        major = (capability or "8.0").split(".")[0]
        return Plan(REQUIREMENT, "it did not compile", {"FLASH_ATTN_CUDA_ARCHS": f"{major}0"})
    found = f"nvcc {nvcc}" if nvcc else "no nvcc"
    why = f"no wheel fits, and to compile it takes nvcc of CUDA {cuda}; here is {found}"
    return Plan(
        REQUIREMENT, why, {"FLASH_ATTENTION_SKIP_CUDA_BUILD": "TRUE"}
    )  # its set-up looks for a wheel only


def outcome(asked: str, minutes: str, log: Path) -> str:
    """Carry it out; returns a line that says how it ended."""
    if not re.fullmatch("[1-9][0-9]{0,3}", minutes):
        return (
            f"flash-attn is not installed (FLASH_ATTN_MINUTES={minutes}: give a whole number from 1): {LOST}"
        )
    if _imports():
        return "flash-attn is installed"
    tried = plan(asked, _capability(), _nvcc(), _cuda())
    why = tried.why
    if tried.requirement:
        try:
            _install(tried, int(minutes), log)
        except subprocess.TimeoutExpired:
            why = f"not done in {minutes} minutes; FLASH_ATTN_MINUTES allows more"
        if _imports():
            return "flash-attn is installed"
        _run([*_UV, "uninstall", "--python", sys.executable, "flash-attn"], {}, 60, log)
        why += f", see {log}"
    return f"flash-attn is not installed ({why}): {LOST}"


_UV = (sys.executable, "-m", "uv", "pip")


def _install(tried: Plan, minutes: int, log: Path) -> None:
    assert tried.requirement
    install = [*_UV, "install", "--python", sys.executable]
    _run([*install, *BUILD_TOOLS], {}, 300, log)
    # Without uv's cache, which would give a later attempt, with a compiler, what was built without one.
    install += ["--no-cache", "--no-build-isolation", "--no-deps", tried.requirement]
    _run(install, tried.environment, 60 * minutes, log)


def _run(command: list[str], environment: dict[str, str], limit_s: float, log: Path) -> None:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(limit_s)
        finally:
            if process.poll() is None:  # with its compilers
                os.killpg(process.pid, 9)
                process.wait()


def _answer(*command: str) -> str:
    """The output of a program; empty if it fails or is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _imports() -> bool:
    return _answer(sys.executable, "-c", "import flash_attn; print('yes')") == "yes"


def _capability() -> str | None:
    lines = _answer("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader").splitlines()
    return min(lines, key=float, default=None)


def _nvcc() -> str | None:
    home = os.environ.get("CUDA_HOME")
    release = re.search(r"release (\d+\.\d+)", _answer(f"{home}/bin/nvcc" if home else "nvcc", "--version"))
    return release[1] if release else None


def _cuda() -> str | None:
    return _answer(sys.executable, "-c", "import torch; print(torch.version.cuda or '')") or None


if __name__ == "__main__":
    sys.stdout.write(
        outcome(
            os.environ.get("FLASH_ATTN", ""),
            os.environ.get("FLASH_ATTN_MINUTES") or str(MINUTES),
            Path(sys.prefix) / "flash-attn.log",
        )
        + "\n"
    )
