"""What a folder's files are: hex digests of their content, quick for large files too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

SAMPLE_BYTES = 1 << 20
SAMPLES = 16


def fingerprint_files(folder: Path) -> dict[str, str]:
    """The fingerprint of every file of a folder, by its path inside."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_fingerprint(path) for path in files}


def combined(fingerprints: Mapping[str, str]) -> str:
    """One fingerprint for named ones: the hex SHA-256 of their sorted JSON."""
    return hashlib.sha256(json.dumps(dict(fingerprints), sort_keys=True).encode()).hexdigest()


def file_fingerprint(path: Path) -> str:
    """Hex SHA-256 of a file's size and of up to 16 evenly spaced pieces of 1 MiB of it; raises ``OSError``.

    That is all of a file up to 16 MiB, and a sample of a larger one, so that loading large files stays quick.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb", buffering=0) as file:
        if size <= SAMPLES * SAMPLE_BYTES:
            digest.update(file.readall())
        else:
            for sample in range(SAMPLES):
                file.seek(sample * (size - SAMPLE_BYTES) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
