"""One check for every command that writes: an output is neither one of its inputs nor another of its outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.files.manifest import MANIFEST

Paths = Path | None | Iterable[Path]
"""The path or paths that an option names; None where it was not given."""


def refuse_overlap(outputs: Mapping[str, Paths], inputs: Mapping[str, Paths]) -> None:
    """Raise ``InputError`` if an output would overwrite an input or another output, or the manifest beside one.

    Both map the option that names a path to the path. Two paths are the same if they lead to the
    same place, also by links.
    """
    taken: dict[tuple[object, ...], str] = {}
    for option, path in _each(inputs):
        taken.update(dict.fromkeys(_places(path), f"{option} {path}"))
    for option, path in _each(outputs):
        for place in _places(path):
            if place in taken:
                other = taken[place]
                raise InputError(f"{option} {path}: would overwrite {other}; give another {option}")
        taken.update(dict.fromkeys(_places(path), f"{option} {path}"))


def _each(options: Mapping[str, Paths]) -> Iterator[tuple[str, Path]]:
    for option, paths in options.items():
        for path in [paths] if isinstance(paths, Path) else paths or ():
            yield option, path


def _places(path: Path) -> set[tuple[object, ...]]:
    """The identity of a file, and of the manifest beside it."""
    places: set[tuple[object, ...]] = set()
    place = path.resolve()
    for one in (place, Path(f"{place}.{MANIFEST}")):
        places.add((one,))
        if one.exists():  # hard links, and file systems that do not tell upper case from lower
            status = one.stat()
            places.add((status.st_dev, status.st_ino))
    return places
