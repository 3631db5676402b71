"""The files of a folder that may be documents of a corpus, and why others may not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from drag_rl.files.folders import is_work_folder
from drag_rl.files.manifest import Problem


def files_below(root: Path, suffixes: tuple[str, ...], problems: list[Problem]) -> Iterator[str]:
    """Paths below ``root``, with ``/``, of all files with one of ``suffixes``, in any order.

    Folders that cannot be read, and links to folders, are added to ``problems``.
    """

    def unreadable(error: OSError) -> None:
        where = os.path.relpath(error.filename, root)
        problems.append(Problem(where=printable(where), reason=f"folder cannot be read ({error.strerror})"))

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        subfolders[:] = [name for name in subfolders if not is_work_folder(name)]
        for name in subfolders:
            path = Path(folder, name)
            if path.is_symlink():
                where = printable(path.relative_to(root).as_posix())
                problems.append(Problem(where=where, reason="link to a folder; such links are not followed"))
        for name in names:
            if name.lower().endswith(suffixes) and name.lower() not in suffixes:
                yield Path(folder, name).relative_to(root).as_posix()


def refusal(root: Path, file: str) -> str | None:
    """Why a file may not be in the corpus, whatever is in it; None if it may."""
    if file != printable(file):
        return "name has control characters or is not UTF-8; rename it"
    path = root / file
    if path.is_symlink():
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(root.resolve()):
            return "link that leads out of the folder; put the file itself there"
        return "link to another file of the folder" if target.exists() else "link that leads nowhere"
    return None if path.is_file() else "not a regular file"


def printable(name: str) -> str:
    """A file's name as it can be shown and stored."""
    clean = name.encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else "\ufffd" for character in clean)
