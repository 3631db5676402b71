"""The pool: which pages of a corpus may be found. A page that may not is a row with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drag_rl.files.manifest import sha256_file
from drag_rl.files.parquet import read_rows, write_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDecision:
    """Whether a page may be found."""

    page_id: str
    in_pool: bool
    reason: str
    """Why it may not be found (``contents``, ``index``, ``failed`` ...); empty for a page in the pool."""


POOL_FILE = "pool.parquet"


def pool_path(pages_dir: Path) -> Path:
    """The file of the decisions in a PAGES_DIR; without that file every page is in the pool."""
    return pages_dir / POOL_FILE


def write_pool(pages_dir: Path, decisions: Iterable[PoolDecision]) -> None:
    """Write the decisions into a PAGES_DIR."""
    write_rows(pool_path(pages_dir), decisions, PoolDecision)


def read_left_out(pages_dir: Path) -> dict[str, str]:
    """Page id -> reason of each page that is not in the pool; raises ``InputError`` for a damaged file."""
    path = pool_path(pages_dir)
    if not path.exists():
        return {}
    return {row.page_id: row.reason for row in read_rows(path, PoolDecision) if not row.in_pool}


def pool_fingerprint(pages_dir: Path) -> str:
    """Fingerprint of the pool, on which an index depends beside the pages; empty when every page is in the pool."""
    path = pool_path(pages_dir)
    return sha256_file(path) if path.exists() else ""
