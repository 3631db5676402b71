"""The store of a late index is written in parts, and opens at once however many pages it has."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from drag_rl.retrieval.late.quantisation import sign_bits, to_bfloat16
from drag_rl.retrieval.late.store import BITS, STARTS, VECTORS, Store, write_store


def test_a_store_is_written_in_parts_and_opened_where_it_lies(tmp_path: Path) -> None:
    counts = np.array([3, 0, 90, 1])
    vectors = to_bfloat16(np.random.default_rng(1).normal(size=(94, 96)).astype(np.float32))
    write_store(tmp_path, counts, [vectors[:5], vectors[5:5], vectors[5:]], 96, binary=True)
    again = Store.open(tmp_path, 4)
    assert np.array_equal(again.vectors, vectors) and np.array_equal(again.bits, sign_bits(vectors))
    assert len(again) == 4 and again.of_page(1).shape == (0, 96)
    assert (tmp_path / VECTORS).stat().st_size < again.vectors.size * 4 * 0.51
    with pytest.raises(ValueError, match="there are 5 vectors, and the pages have 94"):
        write_store(tmp_path, counts, [vectors[:5]], 96, binary=False)


def test_the_store_of_a_million_pages_opens_at_once(tmp_path: Path) -> None:
    """Sparse files: 64 GB of vectors and 4 GB of bits that take no room on the disk."""
    pages, of_each = 1_000_000, 250
    np.save(tmp_path / STARTS, np.arange(pages + 1) * of_each)
    for name, dtype, width in ((VECTORS, np.uint16, 128), (BITS, np.uint64, 2)):
        with (tmp_path / name).open("wb") as file:
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (pages * of_each, width)}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + pages * of_each * width * np.dtype(dtype).itemsize)
    began = time.perf_counter()
    store = Store.open(tmp_path, pages)
    assert time.perf_counter() - began < 1
    assert len(store) == pages and not store.of_page(pages - 1).any()
