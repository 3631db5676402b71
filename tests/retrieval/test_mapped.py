"""A mapped array is the one that was saved, and outlives its file's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drag_rl.retrieval.mapped import mapped_array


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 4), (0, 7)])
@pytest.mark.parametrize("dtype", ["<i4", "<i8", "u1", "<u2", "<f2", "<f4", "?"])
def test_it_is_what_was_saved(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    saved = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    np.save(tmp_path / "a.npy", saved)
    mapped = mapped_array(tmp_path / "a.npy")
    (tmp_path / "a.npy").unlink()
    assert mapped.dtype == saved.dtype and mapped.shape == saved.shape and np.array_equal(mapped, saved)
    assert type(mapped) is np.ndarray and not mapped.flags.writeable


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="OBJECT"):
        mapped_array(tmp_path / "a.npy")
