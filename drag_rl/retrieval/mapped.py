"""Memory-mapped files of an index: however large they are, opening them costs next to nothing, and processes share
the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def mapped_array(path: Path) -> npt.NDArray[Any]:
    """An array that ``np.save`` wrote, as a plain view without numpy's memmap class: much cheaper to slice."""
    return np.asarray(np.load(path, mmap_mode="r"))


def mapped_batches(path: Path) -> list[pa.RecordBatch]:
    """The record batches of an Arrow file."""
    with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
        return [reader.get_batch(number) for number in range(reader.num_record_batches)]
