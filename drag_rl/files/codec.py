"""Rows to JSON and back, checked: what crosses a process or file border is one line of JSON, never a pickle."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

Row = TypeVar("Row")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(row_type: Any) -> TypeAdapter[Any]:
    if row_type not in _ADAPTERS:
        _ADAPTERS[row_type] = TypeAdapter(row_type)
    return _ADAPTERS[row_type]


def to_json(row: object) -> str:
    """A dataclass of :mod:`drag_rl.types` as one line of JSON.

    >>> from drag_rl.types import Hit
    >>> to_json(Hit(page_id="a#1", rank=1, score=2.5))
    '{"page_id":"a#1","rank":1,"score":2.5,"snippet":""}'
    """
    return _adapter(type(row)).dump_json(row).decode()


def from_json(row_type: type[Row], text: str | bytes) -> Row:
    """The row that :func:`to_json` wrote; raises ``pydantic.ValidationError`` (a ValueError) on anything else."""
    row: Row = _adapter(row_type).validate_json(text)
    return row
