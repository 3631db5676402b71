"""What a build of vectors has done so far, kept beside the index: a build that is killed goes on where it was.

Models take hours for what a build makes of pages in pieces. A piece that is there is never made again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from string import hexdigits

from drag_rl.errors import InputError
from drag_rl.retrieval.index_folder import verify_files

MADE_FROM = "vectors.made_from"
"""In an index folder: a digest of all that its vectors depend on."""


@contextmanager
def unfinished(folder: Path, made_from: str) -> Iterator[Path]:
    """The hidden folder beside an index folder for the pieces of what ``made_from`` stands for, a hex digest.

    No other build works in it meanwhile. It stays until :func:`forget_unfinished`.
    """
    pieces = _pieces_folder(folder.parent, made_from)
    pieces.mkdir(exist_ok=True)
    handle = os.open(pieces, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        pieces.mkdir(exist_ok=True)  # the other has done its work and removed it
        yield pieces
    finally:
        os.close(handle)


def forget_unfinished(index_dir: Path) -> None:
    """Remove what was kept for a build that might be killed: the index is in its place."""
    with suppress(FileNotFoundError):  # vectors of another program's index have none
        made_from = (index_dir / MADE_FROM).read_text(encoding="ascii")
        if not set(made_from) <= set(hexdigits):  # not ours, and what is removed is named by it
            return
        shutil.rmtree(_pieces_folder(index_dir.parent, made_from), ignore_errors=True)


def index_beside(folder: Path, made_from: str) -> Path | None:
    """An index beside ``folder`` that has the vectors which are to be made, whole."""
    for path in sorted(folder.parent.glob(f"*/{MADE_FROM}")):
        with suppress(InputError, OSError):
            if path.parent != folder and path.read_text(encoding="ascii") == made_from:
                verify_files(path.parent)
                return path.parent
    return None


def linked(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the file system has no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _pieces_folder(parent: Path, made_from: str) -> Path:
    return parent / f".drag-vectors-{made_from[:24]}"
