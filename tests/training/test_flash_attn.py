"""Set-up never fails for flash-attn: what is tried, for how long, and the one line that is said."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drag_rl.training import flash_attn
from drag_rl.training.flash_attn import LOST, REQUIREMENT, outcome, plan


@pytest.mark.parametrize(
    ("asked", "capability", "nvcc", "installs", "environment"),
    [
        ("none", "9.0", "13.0", None, {}),
        ("", None, "13.0", None, {}),
        ("/wheels/flash.whl", None, None, "/wheels/flash.whl", {}),
        ("", "9.0", "13.1", REQUIREMENT, {"FLASH_ATTN_CUDA_ARCHS": "90"}),
        ("", "8.6", "13.0", REQUIREMENT, {"FLASH_ATTN_CUDA_ARCHS": "80"}),
        ("build", None, "13.0", REQUIREMENT, {"FLASH_ATTN_CUDA_ARCHS": "80"}),
        ("", "9.0", None, REQUIREMENT, {"FLASH_ATTENTION_SKIP_CUDA_BUILD": "TRUE"}),
        ("", "9.0", "12.8", REQUIREMENT, {"FLASH_ATTENTION_SKIP_CUDA_BUILD": "TRUE"}),
    ],
)
def test_what_is_tried(asked, capability, nvcc, installs, environment):
    tried = plan(asked, capability, nvcc, "13.0")
    assert (tried.requirement, tried.environment) == (installs, environment)


@pytest.fixture
def machine(monkeypatch):
    """A GPU machine; returns what is installed and what was run, to be told how the installation goes."""
    state = {"importable": False, "installs": True, "ran": []}

    def run(command, _, limit_s, log):
        state["ran"].append((command[4], command[-1], limit_s))
        if command[-1] == REQUIREMENT:
            assert "--no-cache" in command, "what was built without a compiler is not for an attempt with one"
            if state["installs"] is None:
                raise subprocess.TimeoutExpired(command, limit_s)
            state["importable"] = state["installs"]
        log.touch()

    monkeypatch.setattr(flash_attn, "_run", run)
    monkeypatch.setattr(flash_attn, "_imports", lambda: state["importable"])
    monkeypatch.setattr(flash_attn, "_capability", lambda: "9.0")
    monkeypatch.setattr(flash_attn, "_nvcc", lambda: None)
    monkeypatch.setattr(flash_attn, "_cuda", lambda: "13.0")
    return state


def test_what_imports_is_kept(machine, tmp_path):
    assert outcome("", "30", tmp_path / "log") == "flash-attn is installed"
    ran = list(machine["ran"])
    assert outcome("", "30", tmp_path / "log") == "flash-attn is installed" and machine["ran"] == ran


@pytest.mark.parametrize(
    ("installs", "why"),
    [
        (False, "no wheel fits, and to compile it takes nvcc"),
        (None, "not done in 2 minutes"),
    ],
)
def test_what_does_not_import_is_taken_away_and_said_in_one_line(machine, tmp_path, installs, why):
    machine["installs"] = installs
    said = outcome("", "2", tmp_path / "log")
    assert said.startswith(f"flash-attn is not installed ({why}") and said.endswith(LOST) and "\n" not in said
    assert machine["ran"][-2:] == [("install", REQUIREMENT, 120), ("uninstall", "flash-attn", 60)]


def test_a_wrong_limit_is_said(machine, tmp_path):
    assert "FLASH_ATTN_MINUTES=long: give a whole number" in outcome("", "long", tmp_path / "log")
    assert machine["ran"] == []


def test_an_attempt_ends_with_all_that_it_started(tmp_path):
    starts_another = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        flash_attn._run([sys.executable, "-c", starts_another], {}, 0.3, tmp_path / "log")
