"""colpali-engine as a reference, kept apart: its import renames the weights of every Qwen3-VL loaded or saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import conversion_mapping

conversion_mapping.get_checkpoint_conversion_mapping("")  # now there are transformers' own
_OWN = dict(conversion_mapping._checkpoint_conversion_mapping_cache)

import colpali_engine.models  # noqa: E402, F401

_WITH_THEIRS = dict(conversion_mapping._checkpoint_conversion_mapping_cache)
conversion_mapping._checkpoint_conversion_mapping_cache = dict(_OWN)
assert "qwen3_vl" in _WITH_THEIRS and "qwen3_vl" not in _OWN, "no longer needed: import colpali_engine itself"


@contextmanager
def colpali_imported() -> Iterator[None]:
    """While it lasts, weights are renamed as in a process that has imported colpali-engine."""
    conversion_mapping._checkpoint_conversion_mapping_cache = dict(_WITH_THEIRS)
    try:
        yield
    finally:
        conversion_mapping._checkpoint_conversion_mapping_cache = dict(_OWN)
