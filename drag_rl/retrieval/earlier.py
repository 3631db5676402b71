"""The index that a new one replaces: what it knows of pages that have not changed need not be found out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from drag_rl.errors import InputError
from drag_rl.files.manifest import package_version, read_manifest
from drag_rl.retrieval.index_folder import verify_files
from drag_rl.retrieval.page_ids import documents_of
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.tokenizer import Tokenizer, read_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Earlier:
    """An index of the same kind and options, made by the same versions from other pages."""

    folder: Path
    """It is whole; the back end's own files are there."""
    pages: PageTexts
    """Its pages."""
    rows: npt.NDArray[np.int64]
    """Where each page of the new index stands in the earlier one, with the same id and text; -1 for a page that is new
    or changed (D,)."""

    def documents(self, pages: PageTexts) -> tuple[int, int]:
        """How many documents have no page that is new or changed, and how many there are, in the new index."""
        documents = documents_of(pages.page_ids.column)
        changed = pc.filter(documents, pa.array(self.rows < 0))
        every = pc.count_distinct(documents).as_py()
        return every - pc.count_distinct(changed).as_py(), every


def earlier_index(
    index_dir: Path,
    inputs: Mapping[str, str],
    settings: Mapping[str, Any],
    packages: tuple[str, ...],
    tokenizer: Tokenizer,
) -> Path | None:
    """``index_dir``, if what it knows of a page holds in a new index of other pages too; else None.

    It does where the options, models, versions of ``packages`` and ``tokenizer`` are the same, and all files are whole.
    """
    try:
        present = read_manifest(index_dir)
        same = (
            all(present.config.get(name) == value for name, value in settings.items())
            and _without_pages(present.inputs) == _without_pages(inputs)
            and all(present.versions.get(name) == package_version(name) for name in packages)
        )
        if not same:
            return None
        verify_files(index_dir)
        return index_dir if read_tokenizer(index_dir) == tokenizer else None
    except InputError:
        return None


def _without_pages(inputs: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in inputs.items() if name not in ("pages", "pool", "images")}
