"""Tables of parts: what an option may name (a retriever, a policy, a score ...) and the object that is used for it.

A table is one readable dict. Its values are the objects themselves, or their addresses as ``"module:attribute"`` text,
which is imported when the part is first used. An installed package adds parts of its own by entry points in the table's
group, without a change here::

    [project.entry-points."drag_rl.policies"]
    my-policy = "my_package.policy:MyPolicy"

Data files and configurations hold names only, so reading one never runs code that nobody installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Generic, TypeVar, cast

from drag_rl.errors import InputError

Part = TypeVar("Part")


class Table(Mapping[str, Part], Generic[Part]):
    """Names and their parts: ours in the order of the dict, then those of installed packages, sorted by name."""

    def __init__(
        self,
        what: str,
        parts: Mapping[str, Part | str],
        *,
        group: str | None = None,
        plural: str | None = None,
    ) -> None:
        """``what`` is the word for one part in messages, ``group`` the entry points that add to the table."""
        self.what = what
        self.plural = plural or f"{what}s"
        self.group = group
        self._ours = dict(parts)
        self._loaded: dict[str, Part] = {}

    def find(self, name: str, option: str) -> Part:
        """The part of this name. ``option`` is where the user named it, such as ``--policy``.

        Raises InputError that lists the choices, or that names the package whose part cannot be used.
        """
        if name not in self:
            raise InputError(f"{option}: {self.unknown(name)}")
        return self[name]

    def unknown(self, name: str) -> str:
        """What to say of a name that is not in the table."""
        return f"unknown {self.what} {name!r}; known {self.plural}: {', '.join(self)}"

    def choices(self) -> tuple[str, ...]:
        """Every name."""
        return tuple(self)

    def listed(self) -> str:
        """The names as a help text has them.

        >>> Table("sampling", {"greedy": 0.0, "default": 0.7, "diverse": 0.9}).listed()
        'greedy, default or diverse'
        """
        *others, last = self
        return " or ".join(filter(None, (", ".join(others), last)))

    def __getitem__(self, name: str) -> Part:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._ours
        yield from (name for name in sorted(self._installed) if name not in self._ours)

    def __len__(self) -> int:
        return len(self._ours.keys() | self._installed.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._ours or name in self._installed

    def _load(self, name: str) -> Part:
        claims = self._installed.get(name, [])
        if name in self._ours and not claims:
            part = self._ours[name]
            return cast("Part", resolve_name(part)) if isinstance(part, str) else part
        owners = [*(["drag-rl itself"] if name in self._ours else []), *sorted(map(_package, claims))]
        if not owners:
            raise KeyError(name)
        if len(owners) > 1:
            raise InputError(
                f"{self.what} {name!r} is given by {' and by '.join(owners)} (entry points {self.group!r}): "
                "uninstall one of them, or rename its entry point"
            )
        try:
            return cast("Part", claims[0].load())
        except Exception as error:  # whatever a foreign module raises when it is imported
            said = " ".join(str(error).split())
            raise InputError(
                f"{owners[0]}: its {self.what} {name!r} ({claims[0].value}) cannot be imported: "
                f"{type(error).__name__}: {said}"
            ) from error

    @cached_property
    def _installed(self) -> dict[str, list[EntryPoint]]:
        """The entry points of the group, by name."""
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group) if self.group else ():
            found.setdefault(point.name, []).append(point)
        return found


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name} {point.dist.version}" if point.dist else f"entry point {point.name}"
