"""Plain data out of a pickle that somebody else made: containers, numbers and texts; all else is refused by name.

A pickle can name any function and have it called. Here a name is looked up in a short table and nowhere else, so that
nothing of the file's choosing runs. Nothing of ours is ever written as a pickle.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from drag_rl.errors import InputError


def read_plain_pickle(path: Path) -> Any:
    """What a pickle holds: dicts, lists, tuples, sets, numbers, texts, bytes and None, nested in any way.

    Subclasses of dict become dicts, numbers of numpy Python's, and arrays of numbers or of plain data lists. Raises
    ``InputError`` for a file that holds anything else, naming it, or that is no pickle.
    """
    try:
        with path.open("rb") as file:
            return _Unpickler(file, path).load()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (
        pickle.UnpicklingError,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise InputError(
            f"{path}: is no pickle that can be read ({' '.join(str(error).split())[:200]})"
        ) from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """What stands in for a name; refuses those that are not in the table."""
        known = _PLAIN.get((_MODULES.get(module, module), name))
        if known is None:
            raise InputError(
                f"{self._path}: holds {module}.{name}, which is no plain data; write it again with dicts, lists, "
                "numbers and texts only"
            )
        return known


class _Dtype:
    """What an array's numbers are."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    @property
    def of_objects(self) -> bool:
        return self.code == "O8"

    def values(self, content: bytes | bytearray) -> list[Any]:
        if not re.fullmatch(r"[iuf][1248]|b1", self.code) or self.order not in ("<", ">", "=", "|"):
            raise ValueError(f"numbers of the type {self.code!r}")
        order = self.order if self.order in ("<", ">") else "="
        numbers: list[Any] = np.frombuffer(bytes(content), f"{order}{self.code}").tolist()
        return numbers


class _Array(list[Any]):
    """An array of one dimension, as a list."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, _, content = state
        self[:] = content if dtype.of_objects and isinstance(content, list) else dtype.values(content)
        _check_shape(shape, len(self))


def _check_shape(shape: tuple[int, ...], length: int) -> None:
    if tuple(shape) != (length,):
        raise ValueError(f"an array of the shape {tuple(shape)}, where one of a single dimension is wanted")


def _from_buffer(content: bytes | bytearray, dtype: _Dtype, shape: tuple[int, ...], _: str) -> list[Any]:
    values = dtype.values(content)
    _check_shape(shape, len(values))
    return values


def _scalar(dtype: _Dtype, content: bytes) -> Any:
    (value,) = dtype.values(content)
    return value


def _encoded(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes as {encoding}")
    return text.encode(encoding)


def _new_dict(*_: object) -> dict[Any, Any]:
    return {}


def _new_array(*_: object) -> _Array:
    return _Array()


def _no_bytes(*given: object) -> bytes:
    if given:
        raise ValueError("bytes that are made of something else")
    return b""


def _never(*_: object) -> None:
    raise ValueError("a type that is called")


_MODULES = {
    "__builtin__": "builtins",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
}
"""What other versions of Python and numpy call a module -> what the table below calls it."""
_PLAIN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "bytes"): _no_bytes,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    # What a defaultdict names as its factory.
    ("builtins", "dict"): _never,
    ("builtins", "float"): _never,
    ("builtins", "int"): _never,
    ("builtins", "list"): _never,
    ("collections", "defaultdict"): _new_dict,
    ("collections", "OrderedDict"): _new_dict,
    ("_codecs", "encode"): _encoded,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _never,
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
}
"""(module, name) -> what is called in its place."""
