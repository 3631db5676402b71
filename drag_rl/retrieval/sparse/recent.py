"""What was found lately."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The last ``size`` values that were put or asked for, by key, or up to twice as many; threads may share it.

    >>> recent = Recent(1)
    >>> for letter in "abc":
    ...     recent.put(letter, letter.upper())
    >>> recent.get("a"), recent.get("b"), recent.get("c")
    (None, 'B', 'C')
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """The value; None if it is not there."""
        value = self._new.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep a value."""
        if len(self._new) >= self._size:
            self._old, self._new = self._new, {}
        self._new[key] = value
