"""Files of others are read row by row, in memory that does not grow with them."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_preprocess.parquet_rows import image_of, parquet_rows
from drag_rl.errors import InputError


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    image = os.urandom(1 << 20)
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema({"image": pa.binary()})) as writer:
        for number in range(16):
            writer.write_table(pa.table({"image": [image + bytes([number, row]) for row in range(4)]}))
    before = pa.total_allocated_bytes()
    most = 0
    for number, row in parquet_rows(tmp_path / "a.parquet"):
        assert row["image"][-2:] == bytes([(number - 1) // 4, (number - 1) % 4])
        most = max(most, pa.total_allocated_bytes() - before)
    assert number == 64
    assert most < 32 << 20, "half of the file"


def test_a_file_that_is_damaged_in_its_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": list(range(100_000))}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read as parquet .*; download it again"):
        list(parquet_rows(path))


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (None, "has no image"),
        (b"", "has an empty image"),
        ({"bytes": None, "path": None}, "has no image"),
        ({"bytes": None, "path": "a.png"}, "has the path of an image, 'a.png', and not the image itself"),
        ({"bytes": b"", "path": None}, "has an empty image"),
        (7, "has no image but int"),
    ],
)
def test_a_cell_without_an_image_says_why(cell: object, said: str) -> None:
    assert image_of(cell) == said
