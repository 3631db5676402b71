"""Which arithmetic this machine's CPU is fast in: bfloat16 where it has instructions for it, else float32.

Without them a product of matrices in bfloat16 takes several times as long as one in float32 (``docs/experiments.md``).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""What Linux calls the instructions: two of x86, one of ARM."""
CPUINFO = Path("/proc/cpuinfo")


@cache
def fast_dtype() -> str:
    """``bfloat16`` or ``float32``."""
    try:
        return dtype_for(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:  # not Linux
        return "float32"


def dtype_for(cpuinfo: str) -> str:
    """The same for the text of ``/proc/cpuinfo``.

    >>> dtype_for("flags : fma avx2 avx512_bf16 amx_tile"), dtype_for("flags\\t: fma avx avx2")
    ('bfloat16', 'float32')
    """
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return "bfloat16" if BFLOAT16_FLAGS & set(value.split()) else "float32"
    return "float32"
