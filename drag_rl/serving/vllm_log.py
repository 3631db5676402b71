"""Where a vLLM writes that serves one command which leaves no files of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def vllm_log() -> Iterator[Path]:
    """A log's path in a folder for it, which goes at the end unless something fails after the log was begun."""
    folder = Path(tempfile.mkdtemp(prefix="drag-"))
    log = folder / "vllm.log"
    try:
        yield log
    except BaseException:
        if not log.exists():
            folder.rmdir()
        raise
    shutil.rmtree(folder, ignore_errors=True)
