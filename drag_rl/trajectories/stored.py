"""Files of trajectories read more than once: each row by its place, and the settings that made the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem, manifest_path, read_manifest, sha256_file
from drag_rl.trajectories.rows import parse_row
from drag_rl.types import Trajectory

CARRIED = ("episode", "max_pixels")
"""Settings of a collection that every later stage needs to render what the policy saw."""


def iter_places(path: Path) -> Iterator[tuple[int, bytes, Trajectory]]:
    """Each row of a file: where it begins in bytes, its line without the line end, and its trajectory.

    Raises InputError naming the file, and the line that is no trajectory.
    """
    try:
        with path.open("rb") as file:
            place = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield place, line.rstrip(b"\r\n"), parse_line(line, f"{path}, line {number}")
                place += len(line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_at(path: Path, places: Sequence[int]) -> Iterator[tuple[bytes, Trajectory]]:
    """The rows that begin at these places, in the order asked for, each with its line."""
    with path.open("rb") as file:
        for place in places:
            file.seek(place)
            line = file.readline()
            yield line.rstrip(b"\r\n"), parse_line(line, f"{path}, byte {place}")


def parse_line(line: bytes, where: str) -> Trajectory:
    """The trajectory of a line; raises InputError that begins with ``where``."""
    try:
        return parse_row(line.decode(), where)
    except UnicodeDecodeError:
        raise InputError(f"{where}: is no UTF-8 text") from None


def provenance(paths: Sequence[Path]) -> tuple[dict[str, str], dict[str, Any], list[Problem]]:
    """What is known of some files: their fingerprints by name, the settings that made them, and what is missing.

    Raises InputError where two files were made with different settings, or a manifest is garbled.
    """
    inputs: dict[str, str] = {}
    settings: dict[str, Any] = {}
    problems = []
    for path in paths:
        try:
            inputs[str(path)] = sha256_file(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        if not manifest_path(path).exists():
            reason = "has no manifest: it may be unfinished, and its episode settings are not known"
            problems.append(Problem(where=str(path), reason=reason))
            continue
        manifest = read_manifest(path)
        config = manifest.config
        if manifest.fingerprint != inputs[str(path)]:
            reason = "is not what its manifest describes: unfinished, or changed since"
            problems.append(Problem(where=str(path), reason=reason))
        for name in CARRIED:
            if name in config and settings.setdefault(name, config[name]) != config[name]:
                raise InputError(
                    f"{path}: was made with another {name} setting than {paths[0]}; keep them apart"
                )
    return inputs, settings, problems
