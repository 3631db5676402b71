"""Put what a stage makes into place atomically, and never over files of the user.

A stage replaces and removes only what its own manifest lists; all else is refused in one line. ``new_folder`` is for a
folder that is the stage's alone, ``new_files`` for files in a folder that others use too. Both build aside, and what a
kill has left in between is put right by the next call.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.files.manifest import MANIFEST, files_in, manifest_path, read_manifest

READY = ".ready-to-publish"
"""Folder of whole new files inside the folder that they belong to, until each of them is in its place."""


_WORK = re.compile(r"\..+\.[0-9a-f]{12}\.(?:new|old)")


def is_work_folder(name: str) -> bool:
    """Whether a folder of this name is what a kill has left: nothing in it is where it belongs."""
    return name == READY or _WORK.fullmatch(name) is not None


@contextmanager
def new_folder(target: Path, stage: str, option: str = "--out") -> Iterator[Path]:
    """An empty folder, to be filled and given a manifest, that takes the place of ``target`` when the block ends.

    If the block fails nothing changes. Killed at any moment, ``target`` is the old folder or the new one; between two
    renames the old one lies beside it, and the next call puts it back. Raises ``InputError`` as ``claim_folder`` does.
    """
    claim_folder(target, stage, option)
    target.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(target.parent, target.name) as fresh:
        yield fresh
        _sync(fresh)
        with _locked(target.parent):
            claim_folder(target, stage, option)
            old = fresh.with_suffix(".old")
            try:
                if target.exists():
                    target.rename(old)
                fresh.rename(target)
            except BaseException:
                _put_back(target)
                raise
        for path in _beside(target, "old"):
            shutil.rmtree(path, ignore_errors=True)


def claim_folder(target: Path, stage: str, option: str = "--out") -> None:
    """Raise ``InputError`` unless ``stage`` may replace ``target`` as a whole.

    It may if nothing is there, or an empty folder, or one that its manifest says ``stage`` made, with nothing in it
    that the manifest does not list. What a kill has left aside is put back first.
    """
    where, advice = f"{option} {target}", f"give another {option}"
    if target.is_symlink():
        raise InputError(f"{where}: is a link, where a folder is to be written; {advice}")
    place = target.resolve()
    for used in (Path.cwd(), Path(os.path.expanduser("~"))):  # noqa: PTH111 - Path.home() raises without one
        if used.resolve().is_relative_to(place):
            raise InputError(f"{where}: your home folder or the working directory lies in it; {advice}")
    _put_back(target)
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{where}: is a file, where a folder is to be written; {advice}")
    if not any(target.iterdir()):
        return
    if not manifest_path(target).is_file():
        raise InputError(f"{where}: has no manifest that says {stage} made it; {advice}, or remove it")
    listed = _listed(target, [stage], option)
    if listed is None:
        raise InputError(f"{where}: an older version made it and did not list its files; remove the folder")
    if others := sorted(set(files_in(target)) - listed):
        raise InputError(f"{where}: holds {others[0]}, which {stage} did not make; move it away, or {advice}")


@contextmanager
def new_files(
    folder: Path, stages: Sequence[str], names: Sequence[str], option: str = "--out"
) -> Iterator[Path]:
    """An empty folder, to be filled with files and their manifest, which go into ``folder`` when the block ends.

    They replace those that ``folder``'s manifest lists, so that none of an earlier run is left; other files stay. If
    the block fails nothing changes. Killed before all are in their place, ``folder`` counts as unfinished, and the next
    call first puts the rest there.

    Args:
        folder: Where the files go; made if it is missing.
        stages: Whose files may be replaced.
        names: All files that these stages may write there.
        option: What the user calls ``folder``.

    Raises:
        InputError: As ``claim_files`` does.
    """
    claim_files(folder, stages, names, option)
    folder.mkdir(parents=True, exist_ok=True)
    with work_folder(folder, "unfinished") as work:
        yield work
        _sync(work)
        with _locked(folder):
            _finish(folder, names)
            _check_free(folder, stages, [path.name for path in work.iterdir()], option)
            work.rename(folder / READY)
            _finish(folder, names)


def claim_files(folder: Path, stages: Sequence[str], names: Sequence[str], option: str = "--out") -> None:
    """Raise ``InputError`` unless ``stages`` may write ``names`` in ``folder``.

    They may write what is not there, or what a manifest of theirs lists. What a kill has left on its way is put into
    its place first.
    """
    if (folder / READY).is_dir():
        with _locked(folder):
            _finish(folder, names)
    _check_free(folder, stages, names, option)


def claim_file(path: Path, stage: str, option: str, made_with: Path | None = None) -> None:
    """Raise ``InputError`` unless ``stage`` may write a file: it is not there, is empty, or was made by ``stage``.

    That is what its manifest says, or the manifest of the file that it was ``made_with``.
    """
    if not os.path.lexists(path) or (path.is_file() and not path.stat().st_size):
        return
    artefact = made_with or path
    if path.is_file() and manifest_path(artefact).is_file():
        listed = _listed(artefact, [stage], option)
        if listed is None or os.path.relpath(path.resolve(), artefact.resolve().parent) in listed:
            return
    raise InputError(
        f"{option} {path}: is there, and no manifest says that {stage} made it; give another {option}"
    )


def _check_free(folder: Path, stages: Sequence[str], names: Sequence[str], option: str) -> None:
    own: set[str] = set()
    if manifest_path(folder).is_file():
        listed = _listed(folder, stages, option)
        own = {MANIFEST, *(names if listed is None else listed)}
    for name in names:
        if name not in own and os.path.lexists(folder / name):
            raise InputError(
                f"{option} {folder}: holds {name}, and no manifest says that {stages[0]} made it; move it away, or "
                f"give another {option}"
            )


def _listed(artefact: Path, stages: Sequence[str], option: str) -> set[str] | None:
    """The files of an artefact that one of ``stages`` made, None if an older version made it and kept no list.

    Raises ``InputError`` if somebody else made it, or if one cannot tell.
    """
    try:
        manifest = read_manifest(artefact)
    except InputError as error:
        raise InputError(
            f"{option} {artefact}: {manifest_path(artefact).name} there is damaged or not of {stages[0]}; give another "
            f"{option}, or remove it"
        ) from error
    if manifest.stage not in stages:
        raise InputError(
            f"{option} {artefact}: was made by {manifest.stage}; give another {option}, or remove it"
        )
    return None if manifest.files is None else set(manifest.files)


def _finish(folder: Path, names: Sequence[str]) -> None:
    """Move what is ready, if anything is, into its place, the manifest last; goes on where a kill has ended it."""
    ready = folder / READY
    if manifest_path(ready).is_file():
        if manifest_path(folder).is_file():
            old = read_manifest(folder).files
            for name in set(names if old is None else old) - set(files_in(ready)):
                if Path(name).name == name:
                    (folder / name).unlink(missing_ok=True)
            manifest_path(folder).unlink()
        for path in sorted(ready.iterdir(), key=lambda path: path.name == MANIFEST):
            path.replace(folder / path.name)
    if ready.is_dir():
        ready.rmdir()


@contextmanager
def work_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new hidden folder that goes at the end; those of the same name that killed runs have left go too."""
    work = parent / f".{name}.{secrets.token_hex(6)}.new"
    for path in _beside(parent / name, "new"):
        with suppress(OSError), _locked(path, wait=False):  # nobody is at work there
            shutil.rmtree(path, ignore_errors=True)
    work.mkdir()
    try:
        with _locked(work):
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _put_back(target: Path) -> None:
    if not os.path.lexists(target):
        for path in _beside(target, "old")[:1]:
            path.rename(target)


def _beside(target: Path, kind: str) -> list[Path]:
    """Work folders of ``target`` of a kind, ``new`` or ``old``; the newest first."""
    if not target.parent.is_dir():
        return []
    ours = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{12}}\.{kind}")
    found = [path for path in target.parent.iterdir() if ours.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder's lock, which the system drops if its holder dies; not to ``wait`` raises ``OSError`` instead.

    On a file system without locks for folders nothing is locked, and not to wait always raises.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if wait:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
