"""Rows survive parquet; anything else that a file may hold is one clear line."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.errors import InputError
from drag_rl.files.parquet import ROW_GROUP_ROWS, iter_rows, read_rows, schema_of, write_rows
from drag_rl.types import Page


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    count: int
    share: float
    good: bool
    colour: Colour
    kind: Literal["a", "b"]
    tags: tuple[str, ...]
    ranks: tuple[int | None, ...]
    note: str | None


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
ROWS = st.builds(
    Row,
    name=TEXT,
    count=st.integers(-(2**63), 2**63 - 1),
    share=st.floats(allow_nan=False),
    good=st.booleans(),
    colour=st.sampled_from(Colour),
    kind=st.sampled_from(["a", "b"]),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    ranks=st.lists(st.none() | st.integers(1, 9), max_size=3).map(tuple),
    note=st.none() | TEXT,
)


@given(st.lists(ROWS, max_size=4))
def test_rows_survive_the_round_trip(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        assert write_rows(path, rows, Row) == len(rows)
        assert read_rows(path, Row) == rows
        assert all(type(row.colour) is Colour for row in read_rows(path, Row))


def row(**changes):
    values = {"name": "n", "count": 1, "share": 0.5, "good": True, "colour": Colour.RED, "kind": "a"}
    return Row(**values | {"tags": ("x",), "ranks": (1, None), "note": None} | changes)


def test_the_schema_is_the_dataclass():
    assert schema_of(Page).names == [field.name for field in fields(Page)]
    assert schema_of(Row).field("note").nullable
    assert not schema_of(Row).field("name").nullable
    assert schema_of(Row).field("tags").type == pa.list_(pa.string())


def test_a_field_that_no_column_can_hold_is_refused():
    @dataclass
    class Odd:
        value: dict[str, int]

    with pytest.raises(TypeError, match="'value'"):
        schema_of(Odd)


def test_rows_stream_in_row_groups(tmp_path):
    path = tmp_path / "rows.parquet"
    write_rows(path, (row(count=number) for number in range(ROW_GROUP_ROWS + 1)), Row)
    assert pq.ParquetFile(path).num_row_groups == 2
    assert [found.count for found in iter_rows(path, Row)] == list(range(ROW_GROUP_ROWS + 1))


def test_what_pandas_writes_is_read(tmp_path):
    path = tmp_path / "rows.parquet"
    page = Page(
        page_id="a#1", doc_id="a", page_number=1, label="i", text="t", width_pt=1.5, height_pt=2.0,
        source_file="a.pdf", source_sha256="00", text_source="pdf", status="ok", reason="",
    )  # fmt: skip
    write_rows(path, [page], Page)
    frame = pq.read_table(path).to_pandas()
    frame["more"] = 1
    frame.to_parquet(path)
    assert read_rows(path, Page) == [page]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "rows.parquet"
    write_rows(path, [row()], Row)

    def failing():
        yield row()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_rows(path, failing(), Row)
    assert read_rows(path, Row) == [row()]
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.parquet"]


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_truncated_file_is_named(tmp_path, kept):
    path = tmp_path / "rows.parquet"
    write_rows(path, [row()], Row)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"rows\.parquet: cannot be read as parquet"):
        read_rows(path, Row)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"rows\.parquet: cannot be read as parquet"):
        read_rows(tmp_path / "rows.parquet", Row)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("count", ["1"], "column 'count' is string, not int64"),
        ("tags", ["x"], "column 'tags' is string, not list"),
        ("kind", ["c"], "column 'kind' holds 'c', not one of a, b"),
        ("colour", ["green"], "column 'colour' holds 'green', not one of red, blue"),
        ("name", pa.array([None], pa.string()), "column 'name' holds an empty"),
        ("tags", pa.array([["x", None]]), "column 'tags' holds an empty"),
        ("share", None, "column 'share' is missing"),
    ],
)
def test_a_wrong_column_is_named(tmp_path, column, values, message):
    path = tmp_path / "rows.parquet"
    write_rows(path, [row()], Row)
    table = pq.read_table(path)
    position = table.schema.get_field_index(column)
    table = table.remove_column(position)
    if values is not None:
        table = table.append_column(column, pa.array(values))
    pq.write_table(table, path)
    with pytest.raises(InputError, match=message):
        read_rows(path, Row)
