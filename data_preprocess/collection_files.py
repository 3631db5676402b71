"""Which files of a folder are the queries and which the judgements of a collection, and of which split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_preprocess.vidore_files import SPLIT_OF
from drag_rl.errors import InputError
from drag_rl.splits import Split

_TABLES = (".parquet", ".pkl", ".pickle")
_QUERIES, _QRELS, _SMALL = ("quer", "qry", "topic"), "qrel", ".small"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionFiles:
    """The files of a folder, by what their names say."""

    queries: Sequence[Path]
    qrels: Sequence[tuple[Split, Path]]
    others: Sequence[Path]
    """Those that are neither."""
    left_out: Sequence[Path]
    """Files that have a smaller selection of themselves beside them, ``qrels.dev.tsv`` with ``qrels.dev.small.tsv``:
    the field measures on the small one."""


def collection_files(source: Path) -> CollectionFiles:
    """What lies in a folder and below it; raises ``InputError`` if it is none.

    The judgements of a file whose name has no word for a split are those of test.
    """
    if not source.is_dir():
        raise InputError(f"--source {source}: is no folder")
    files = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith("."))
    small = {path.with_name(path.name.replace(_SMALL, "", 1)) for path in files if _SMALL in path.name}
    kept = [path for path in files if path not in small]
    qrels = [path for path in kept if _QRELS in path.name.casefold()]
    queries = [
        path
        for path in kept
        if path not in qrels
        and path.suffix not in _TABLES
        and any(word in path.name.casefold() for word in _QUERIES)
    ]
    return CollectionFiles(
        queries=queries,
        qrels=[(split_of(path), path) for path in qrels],
        others=[path for path in kept if path not in qrels and path not in queries],
        left_out=[path for path in files if path in small],
    )


def split_of(path: Path) -> Split:
    """The split that a file's name says, else test.

    >>> [split_of(Path(name)) for name in ("qrels.dev.tsv", "nq/train.jsonl", "2019qrels-pass.txt")]
    ['val', 'train', 'test']
    """
    words = re.findall(r"[a-z]+", path.name.casefold())
    return next((SPLIT_OF[word] for word in words if word in SPLIT_OF), "test")
