"""Pickles of plain data are read; whatever else one names is refused, and nothing of it runs."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.errors import InputError
from drag_rl.files.plain_pickle import read_plain_pickle

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
keys = st.integers() | st.text()
plain = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(keys, inner)
        | st.sets(keys)
        | st.frozensets(keys)
        | st.lists(inner).map(tuple)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pickles") / "some.pkl"


def read(path: Path, value: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> Any:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return read_plain_pickle(path)


@settings(max_examples=40)
@given(value=plain, protocol=st.integers(0, 5))
def test_plain_data_is_read_as_it_was(path: Path, value: Any, protocol: int) -> None:
    assert read(path, value, protocol) == value


@pytest.mark.parametrize("protocol", range(6))
def test_dicts_of_other_kinds_and_numbers_of_numpy_become_plain(path: Path, protocol: int) -> None:
    labels = defaultdict(list, {"q1": ["d1"], "q2": []})
    assert read(path, labels, protocol) == {"q1": ["d1"], "q2": []}
    assert read(path, OrderedDict(b=1, a=2), protocol) == {"b": 1, "a": 2}
    found = read(path, {np.int64(7): np.float32(0.5), "flag": np.bool_(True)}, protocol)
    assert found == {7: 0.5, "flag": True} and {type(one) for one in (*found, found[7])} == {int, str, float}
    for array in (np.arange(5), np.array([1.5, 2], ">f4"), np.array(["d1", "d2"], object)):
        assert read(path, array, protocol) == array.tolist()


class _Runs:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(6))
def test_what_would_run_is_refused_by_name_and_does_not_run(
    path: Path, tmp_path: Path, protocol: int
) -> None:
    target = tmp_path / "made"
    with pytest.raises(InputError, match=r"some\.pkl: holds \w+\.mkdir, which is no plain data"):
        read(path, {"labels": [_Runs(target)]}, protocol)
    assert not target.exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Path("/"), r"holds pathlib\.\w+"),
        (eval, r"holds builtins\.eval"),
        (np.zeros((2, 2)), r"an array of the shape \(2, 2\)"),
        (np.array(["2020-01-01"], "M8[D]"), "M8"),
        (np.array(["text"]), "U4"),
    ],
)
def test_other_values_are_refused(path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(path, value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        pickle.dumps([1, 2, 3])[:-4],
        b"cbuiltins\ngetattr\n.",
        b"c__builtin__\neval\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x0cset.__init__\x93.",
        b"cbuiltins\nlist\n(tR.",
        b"cnumpy\ndtype\n(V" + b"O8" + b"\ntR(lb.",
        b"Pid\n.",
        b"\x82\x01.",
    ],
)
def test_a_damaged_or_hostile_file_is_an_error_in_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"some\.pkl: (is no pickle|holds)") as caught:
        read_plain_pickle(path)
    assert "\n" not in str(caught.value)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with suppress(InputError):
        read_plain_pickle(path)
