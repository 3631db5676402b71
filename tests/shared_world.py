"""What many tests need and nobody changes: built once a run of pytest, also where two workers run it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def built_once(tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """The path ``name`` that ``build`` makes; the worker that comes first makes it, others wait."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    path, done = base / "shared" / name, base / "shared" / f"{name}.done"
    path.parent.mkdir(exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not done.exists():
            build(path)
            done.touch()
    return path
