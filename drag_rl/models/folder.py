"""Build a model folder atomically, unless it is up to date."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from drag_rl.errors import InputError
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import manifest_path, read_manifest, sha256_file, write_manifest


def build_folder(
    out: Path,
    *,
    stage: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    write: Callable[[Path], None],
) -> bool:
    """Let ``write`` fill a new folder, then put it at ``out`` with its manifest; returns whether anything was built.

    A folder that ``stage`` made from the same ``config`` and ``inputs`` with the same source code, and that
    still has its fingerprint, is kept; one that it made otherwise is replaced. Raises ``InputError`` for a
    folder that is not its own, or that holds something else too.
    """
    inputs = {**inputs, "source_code": folder_fingerprint(Path(__file__).parent)}
    if _is_current(out, stage, config, inputs):
        return False
    started = time.monotonic()
    with new_folder(out, stage) as fresh:
        write(fresh)
        write_manifest(
            fresh,
            stage=stage,
            fingerprint=folder_fingerprint(fresh),
            inputs=inputs,
            config=config,
            seconds=time.monotonic() - started,
            packages=("tokenizers", "torch", "transformers"),
        )
    return True


def folder_fingerprint(folder: Path) -> str:
    """Hex SHA-256 over the names and bytes of all files right in ``folder``, its manifest apart."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path != manifest_path(folder):
            digest.update(f"{path.name}\0{sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _is_current(out: Path, stage: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> bool:
    try:
        manifest = read_manifest(out)
    except InputError:
        return False
    made_so = (manifest.stage, manifest.config, manifest.inputs) == (stage, dict(config), dict(inputs))
    return made_so and manifest.fingerprint == folder_fingerprint(out)
