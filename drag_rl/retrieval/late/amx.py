"""The matrix unit that Intel's server processors have (AMX), one function for each instruction, for compiled loops.

A tile is a register of 16 rows of 64 bytes; there are eight, numbered from 0. Of 16 rows of 32 numbers in bfloat16 and
16 rows of 16 pairs of such numbers, one instruction makes and adds up 16 x 16 inner products in float32: see TDPBF16PS
in Intel's Architecture Instruction Set Extensions reference, chapter 3. The names of the functions here are those of
the instructions. They must not be compiled unless :func:`usable` says so, for LLVM then ends the process.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

ROWS = 16
"""Rows of a tile."""
NUMBERS = 32
"""Numbers in bfloat16 of a row, half as many in float32."""
SHAPES = bytes([1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[ROWS] * 8, *[0] * 8])
"""What LDTILECFG reads: palette 1, then the bytes of a row and the rows of each tile."""

ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA = 158, 0x1023, 18
"""The call by which a Linux process asks for a state that is large (Documentation/arch/x86/xstate.rst)."""

BYTE = ir.IntType(8)


@cache
def usable() -> bool:
    """Whether the processor has the unit, and the system lets this process use it.

    What ``NUMBA_CPU_NAME`` or ``NUMBA_CPU_FEATURES`` say that numba is to compile for, has none.
    """
    if sys.platform != "linux" or config.CPU_NAME or config.CPU_FEATURES or config.DISABLE_JIT:
        return False
    features = binding.get_host_cpu_features()
    if not (features.get("amx-tile") and features.get("amx-bf16")):
        return False
    refused: int = ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA)
    return not refused


def _emit(builder: Any, name: str, *arguments: Any) -> None:
    """Call one of LLVM's intrinsics, which stands for an instruction that gives nothing back."""
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


def _number(tile: Any) -> ir.Constant:
    """The number of a tile, which is a part of the instruction."""
    return ir.Constant(BYTE, tile.literal_value)


@intrinsic  # type: ignore[untyped-decorator]
def ldtilecfg(typing_context: Any) -> Any:
    """Set all tiles up; each thread does so before it uses them."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature, arguments
        shapes = cgutils.global_constant(builder, "tile_shapes", cgutils.make_bytearray(SHAPES))
        _emit(builder, "ldtilecfg", builder.bitcast(shapes, BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic  # type: ignore[untyped-decorator]
def tilerelease(typing_context: Any) -> Any:
    """Forget the tiles, so that the system need not keep them when it changes threads."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature, arguments
        _emit(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def tilezero(typing_context: Any, tile: Any) -> Any:
    """Fill a tile with zeros."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature, arguments
        _emit(builder, "tilezero", _number(tile))
        return context.get_dummy_value()

    return types.void(tile), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def tdpbf16ps(typing_context: Any, sums: Any, rows: Any, pairs: Any) -> Any:
    """Add to ``sums[i, j]`` the products of row i of a tile with column j of a tile of pairs."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature, arguments
        _emit(builder, "tdpbf16ps", *map(_number, (sums, rows, pairs)))
        return context.get_dummy_value()

    return types.void(sums, rows, pairs), generate


def _moving(name: str) -> Any:
    """An instruction between a tile and a two-dimensional array, from a row and column of it on."""

    def move(typing_context: Any, tile: Any, array: Any, row: Any, column: Any) -> Any:
        del typing_context, row, column

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = signature.args[1]
            given = context.make_array(kind)(context, builder, arguments[1])
            place = cgutils.get_item_pointer(context, builder, kind, given, arguments[2:])
            stride, _ = cgutils.unpack_tuple(builder, given.strides)
            _emit(builder, name, _number(tile), builder.bitcast(place, BYTE.as_pointer()), stride)
            return context.get_dummy_value()

        return types.void(tile, array, types.intp, types.intp), generate

    return intrinsic(prefer_literal=True)(move)


tileloadd: Callable[[int, Any, int, int], None] = _moving("tileloadd64")
"""Fill a tile from 16 rows of an array."""
tilestored: Callable[[int, Any, int, int], None] = _moving("tilestored64")
"""Write a tile to 16 rows of an array."""
