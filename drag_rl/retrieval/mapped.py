"""Memory-mapped files of an index: however large they are, opening them costs next to nothing, and processes share
the memory. They stay mapped while they are used, replaced or not; the files themselves are closed."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def mapped_array(path: Path) -> npt.NDArray[Any]:
    """An array that ``np.save`` wrote, in C order; reads only.

    Without numpy's memmap class it is much cheaper to slice.
    """
    with path.open("rb") as file:
        np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
        begin = file.tell()
    with pa.memory_map(str(path)) as file:
        array: npt.NDArray[Any] = np.frombuffer(file.read_buffer(), dtype, prod(shape), begin)
    return array.reshape(shape)


def mapped_batches(path: Path) -> list[pa.RecordBatch]:
    """The record batches of an Arrow file."""
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
        return [reader.get_batch(number) for number in range(reader.num_record_batches)]
