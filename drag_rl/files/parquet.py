"""Rows (frozen dataclasses) to parquet and back: the dataclass is the schema.

A field is a ``str``, ``int``, ``float``, ``bool``, ``Literal`` of strings or ``StrEnum`` (both stored as
strings), a ``tuple[T, ...]`` of those (a list), or any of them ``| None`` (a column that may hold nulls).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from enum import StrEnum
from itertools import islice
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_path

Row = TypeVar("Row")

ROW_GROUP_ROWS = 2048
"""Rows held in memory at a time while writing or reading."""

_SCALARS: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


def schema_of(row_type: type[Any]) -> pa.Schema:
    """The parquet schema of a row type: one column a field, in order; only ``| None`` fields are nullable.

    Raises ``TypeError`` for a field type that no column can hold.
    """
    hints = get_type_hints(row_type)
    return pa.schema([_column_of(field.name, hints[field.name]) for field in fields(row_type)])


def write_rows(path: Path, rows: Iterable[Row], row_type: type[Row]) -> int:
    """Write ``rows`` to ``path`` atomically, one row group at a time; returns how many there were."""
    schema = schema_of(row_type)
    remaining = iter(rows)
    count = 0
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        while group := list(islice(remaining, ROW_GROUP_ROWS)):
            columns = [
                pa.array([getattr(row, name) for row in group], type=schema.field(name).type)
                for name in schema.names
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP_ROWS)
            count += len(group)
    return count


def read_rows(path: Path, row_type: type[Row]) -> list[Row]:
    """All rows of a file; see ``iter_rows``."""
    return list(iter_rows(path, row_type))


def iter_rows(path: Path, row_type: type[Row]) -> Iterator[Row]:
    """Stream the rows of a file; columns that are no field of ``row_type`` are left unread.

    Raises ``InputError`` naming the file (missing, truncated, not parquet) and the column (missing, wrong
    type, null where none may be, outside its ``Literal`` or ``StrEnum``).
    """
    schema = schema_of(row_type)
    hints = get_type_hints(row_type)
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:  # which would keep all that was read
            _check_schema(path, file.schema_arrow, schema)
            for batch in file.iter_batches(ROW_GROUP_ROWS, columns=schema.names):
                columns = [
                    _values_of(path, field, hints[field.name], batch.column(field.name)) for field in schema
                ]
                for values in zip(*columns, strict=True):
                    yield row_type(**dict(zip(schema.names, values, strict=True)))
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: cannot be read as parquet ({_first_line(error)}); make it again"
        ) from error


def _column_of(name: str, annotation: Any) -> pa.Field[Any]:
    inner, optional = _unwrap_optional(annotation)
    return pa.field(name, _type_of(name, inner), nullable=optional)


def _type_of(name: str, annotation: Any) -> pa.DataType:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if _allowed(annotation) is not None:
        return pa.string()
    if get_origin(annotation) is tuple and len(get_args(annotation)) == 2 and get_args(annotation)[1] is ...:
        item, _ = _unwrap_optional(get_args(annotation)[0])
        return pa.list_(_type_of(name, item))
    raise TypeError(f"field {name!r}: no parquet column holds {annotation!r}")


def _unwrap_optional(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation):
        (inner,) = (item for item in get_args(annotation) if item is not NoneType)
        return inner, True
    return annotation, False


def _allowed(annotation: Any) -> dict[str, str] | None:
    """What a string column of this type may hold, as stored text -> value; None if anything."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return {member.value: member for member in annotation}
    if get_origin(annotation) is Literal and all(isinstance(value, str) for value in get_args(annotation)):
        return {value: value for value in get_args(annotation)}
    return None


def _check_schema(path: Path, found: pa.Schema, wanted: pa.Schema) -> None:
    for field in wanted:
        position = found.get_field_index(field.name)
        if position < 0:
            raise InputError(f"{path}: column {field.name!r} is missing; make it again")
        if _normal(found.field(position).type) != _normal(field.type):
            kind = found.field(position).type
            raise InputError(
                f"{path}: column {field.name!r} is {kind}, not {field.type}; make the file again"
            )


def _normal(data_type: pa.DataType) -> pa.DataType:
    """The type without what other writers may change: large strings and large lists."""
    if pa.types.is_large_string(data_type):
        return pa.string()
    if pa.types.is_list(data_type) or pa.types.is_large_list(data_type):
        return pa.list_(_normal(data_type.value_type))
    return data_type


def _values_of(path: Path, field: pa.Field[Any], annotation: Any, column: pa.Array[Any]) -> list[Any]:
    inner, optional = _unwrap_optional(annotation)
    if not pa.types.is_list(field.type):
        return _checked(path, field.name, inner, optional, column.to_pylist())
    item, item_optional = _unwrap_optional(get_args(inner)[0])
    lists = _checked(path, field.name, inner, optional, column.to_pylist())
    return [
        None if values is None else tuple(_checked(path, field.name, item, item_optional, values))
        for values in lists
    ]


def _checked(path: Path, name: str, annotation: Any, optional: bool, values: list[Any]) -> list[Any]:
    if not optional and None in values:
        raise InputError(f"{path}: column {name!r} holds an empty (null) value; make it again")
    allowed = _allowed(annotation)
    if allowed is None:
        return values
    for value in values:
        if value is not None and value not in allowed:
            raise InputError(f"{path}: column {name!r} holds {value!r}, not one of {', '.join(allowed)}")
    return [None if value is None else allowed[value] for value in values]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
