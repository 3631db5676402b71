"""The manifest beside every artefact: what made it, from what, with which settings, and what went wrong.

A folder has ``manifest.json`` inside; a single file ``X`` has ``X.manifest.json`` beside it. The manifest is
written last, so an artefact without one is unfinished. Also here: how to write a file whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Literal, overload

from drag_rl import __version__
from drag_rl.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that went wrong while the rest went on."""

    where: str
    """The file, page or line, as the user knows it."""
    reason: str
    """The problem, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a stage made, from what, and how."""

    stage: str
    """The subcommand or script that wrote the artefact, such as ``ingest``."""
    fingerprint: str
    """What the artefact is: a hex SHA-256 that depends on its content alone, never on place or time."""
    inputs: dict[str, str]
    """What the artefact was made from: name -> fingerprint."""
    config: dict[str, Any]
    """The settings that shaped it; JSON values."""
    counts: dict[str, int]
    """Counts by name: what was made, and what was left out."""
    problems: tuple[Problem, ...]
    """What went wrong while the rest went on."""
    seconds: float
    """Wall-clock time of the stage."""
    versions: dict[str, str]
    """Package -> version, ``drag-rl`` included."""
    files: tuple[str, ...] | None = None
    """What the stage made, by its path inside the folder or beside the file; all else there is somebody else's. None
    where an older version made it, which kept no list."""


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_KINDS = {"stage": str, "fingerprint": str, "inputs": dict, "config": dict, "counts": dict, "versions": dict}


MANIFEST = "manifest.json"


def manifest_path(artefact: Path) -> Path:
    """Where the manifest of an artefact lies: inside a folder, beside a file."""
    if artefact.is_dir():
        return artefact / MANIFEST
    return artefact.with_name(f"{artefact.name}.{MANIFEST}")


def files_in(folder: Path) -> list[str]:
    """All that lies in a folder and below, by its path inside, sorted: files, links and empty folders; the folder's
    own manifest apart."""
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
            found.append(path.relative_to(folder).as_posix())
    return sorted(name for name in found if name != MANIFEST)


def write_manifest(
    artefact: Path,
    *,
    stage: str,
    fingerprint: str,
    inputs: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    counts: Mapping[str, int] | None = None,
    problems: Sequence[Problem] = (),
    seconds: float = 0.0,
    packages: Sequence[str] = (),
    files: Sequence[str] | None = None,
) -> Manifest:
    """Write the manifest of an artefact.

    ``packages`` are distributions whose versions matter. ``files`` are what the stage made; None means all that lies in
    the folder, or the file alone.
    """
    if files is None:
        files = files_in(artefact) if artefact.is_dir() else [artefact.name]
    manifest = Manifest(
        stage=stage,
        fingerprint=fingerprint,
        inputs=dict(inputs or {}),
        config=dict(config or {}),
        counts=dict(counts or {}),
        problems=tuple(problems),
        seconds=round(seconds, 3),
        versions={"drag-rl": __version__} | {name: package_version(name) for name in packages},
        files=tuple(files),
    )
    with atomic_write(manifest_path(artefact)) as file:
        json.dump(asdict(manifest), file, indent=1, ensure_ascii=False)
        file.write("\n")
    return manifest


def read_manifest(artefact: Path) -> Manifest:
    """The manifest of an artefact; raises ``InputError`` if either is missing or the manifest is garbled."""
    path = manifest_path(artefact)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        problems = tuple(Problem(**problem) for problem in found["problems"])
        files = found.get("files")
        if files is None and isinstance(found["config"], dict):  # where stages of older versions have it
            files = found["config"].get("files", found["config"].get("sha256"))
        files = None if files is None else tuple(map(str, files))
        manifest = Manifest(**found | {"problems": problems, "files": files})
    except FileNotFoundError as error:
        what = "is unfinished: it has no manifest" if artefact.exists() else "does not exist"
        raise InputError(f"{artefact} {what}; run the stage that makes it (again)") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: garbled manifest ({error}); make the artefact again") from error
    for name, kind in _KINDS.items():
        if not isinstance(getattr(manifest, name), kind):
            raise InputError(f"{path}: garbled manifest ({name!r} is no {kind.__name__}); make it again")
    return manifest


@cache
def package_version(distribution: str) -> str:
    """The installed version of a package when this process first asked, or ``"absent"``."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces; raises ``OSError``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``: what the block writes there takes ``path``'s place at its end.

    If the block fails nothing changes. Missing parent folders are made. Raises ``OSError``; of a full disk it names
    ``path``, which the system's own error does not.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, where a file is to be written", str(path))
    if path.exists() and not path.is_file():  # /dev/null, say, which root could replace
        raise OSError(errno.EINVAL, "is no regular file, which could be replaced", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in _NO_ROOM and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@overload
def atomic_write(path: Path) -> AbstractContextManager[IO[str]]: ...
@overload
def atomic_write(path: Path, mode: Literal["w"]) -> AbstractContextManager[IO[str]]: ...
@overload
def atomic_write(path: Path, mode: Literal["wb"]) -> AbstractContextManager[IO[bytes]]: ...
@contextmanager
def atomic_write(path: Path, mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """Open ``path`` to write UTF-8 text or, with ``"wb"``, bytes, all or nothing; see ``atomic_path``."""
    encoding = None if mode == "wb" else "utf-8"
    with atomic_path(path) as temporary, temporary.open(mode, encoding=encoding) as file:
        yield file
