"""The older way to build; goes away once nobody uses it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from drag_rl.files.manifest import Manifest
from drag_rl.retrieval import build
from drag_rl.retrieval.sparse.index import Bm25Index as IndexOptions


def build_index(pages_dir: Path, index_dir: Path, options: IndexOptions) -> tuple[Manifest, bool]:
    """See :func:`drag_rl.retrieval.build.build_index`."""
    return build.build_index(pages_dir, index_dir, **asdict(options))


__all__ = ["IndexOptions", "build_index"]
