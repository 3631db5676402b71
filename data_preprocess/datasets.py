"""Public data sets that ``drag data convert`` can read: a table of readers, one module for each data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drag_rl.splits import Split
from drag_rl.tables import Table
from drag_rl.types import Page, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a reader makes of the files of a data set."""

    pages: Iterable[Page]
    """Every page of the corpus, sorted by ``(doc_id, page_number)``."""
    questions: Mapping[Split, Sequence[Question]]
    """The questions of each split that the data set has."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """What of the data set is in no question: reason -> how often."""


Reader = Callable[[Path], Dataset]
"""Reads a data set from the file or folder where the user downloaded it; raises ``InputError`` for what is wrong."""

DATASETS: Table[Reader] = Table(
    "data set", {"beir": "data_preprocess.beir:read_beir"}, group="drag_rl.datasets"
)
"""Name -> reader. A new data set is a new file here and a new line in this table, or an entry point of a package."""
