"""Read a corpus of text lines on all nodes of a Ray cluster, as ``drag data convert --ray`` does.

The files are cut into pieces of whole lines where the command runs, which also unpacks what is gzipped. A task makes
the sorted pages of a piece and gives them back as parquet. They are kept as a part beside the pages, so that a run that
goes on after a kill does not read that piece again. Then the parts are merged, in bounded memory: the pages are those
of one machine, to the byte. The nodes need to share no folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.corpus_lines import LineCorpus
from data_preprocess.datasets import TextPage
from data_preprocess.sorted_pages import page_key
from data_preprocess.text_lines import LineSource, Piece, pieces
from drag_rl.cluster import map_on_cluster
from drag_rl.errors import InputError
from drag_rl.files.codec import from_json, to_json
from drag_rl.files.manifest import atomic_write, package_version
from drag_rl.files.parquet import write_rows

PIECE_BYTES = 32 << 20
"""Bytes of a piece: some ten thousand passages, a few seconds of a core. A CPU has two of them at hand."""
PARTS_FOLDER = ".text-parts"
"""Where parts are kept in the folder of pages, until these are written."""
VERSION = 1
"""Raised whenever the same lines become other pages; parts of another version are not used."""
_OURS = re.compile(r"\.?[0-9a-f]{64}\.(?:parquet|json)(?:\.[0-9a-f]{12}\.tmp)?")

Read = Callable[[LineSource, DroppedRows], Iterator[TextPage]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What was read of a piece."""

    key: str
    """What it depends on, as a hex SHA-256."""
    pages: bytes
    """Its pages, sorted, as parquet."""
    dropped: DroppedRows
    """Its rows that are wrong."""


@contextmanager
def read_on_cluster(corpus: LineCorpus, pages_dir: Path) -> Iterator[list[Path]]:
    """Files of sorted pages, in the order of the corpus; they go when the block has ended well.

    Rows that are wrong are added to those of the corpus, in its order. Raises ``InputError`` as the corpus does, and
    without Ray, and for a node that has another version of drag-rl.
    """
    folder = pages_dir / PARTS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    keys: list[str] = []

    def missing() -> Iterator[tuple[Read, Piece, str]]:
        for path in corpus.files:
            for piece in pieces(path, PIECE_BYTES):
                keys.append(key_of(corpus.read, piece))
                if not _dropped(folder, keys[-1]).is_file():
                    yield corpus.read, piece, keys[-1]

    for part in map_on_cluster(read_piece, missing(), "texts cannot be read"):
        with atomic_write(_pages(folder, part.key), "wb") as pages:
            pages.write(part.pages)
        with atomic_write(_dropped(folder, part.key)) as dropped:  # the last: it says that the part is whole
            dropped.write(to_json(part.dropped))
    for key in keys:
        corpus.rows.add(from_json(DroppedRows, _dropped(folder, key).read_bytes()))
    yield [_pages(folder, key) for key in keys]
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name):
            path.unlink(missing_ok=True)
    with suppress(OSError):  # what else is in the folder is the user's
        folder.rmdir()


def read_piece(work: tuple[Read, Piece, str]) -> Part:
    """What a task does on its node, given what reads a piece, the piece, and its key where the run was started.

    Raises ``InputError`` where this drag-rl has another version.
    """
    read, piece, key = work
    if key_of(read, piece) != key:
        raise InputError(
            f"on node {gethostname()}, drag-rl has another version than where the run was started; install the same"
        )
    rows = DroppedRows()
    pages = sorted(read(piece, rows), key=page_key)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pages.parquet"
        write_rows(path, pages, TextPage)
        return Part(key=key, pages=path.read_bytes(), dropped=rows)


def key_of(read: Read, piece: Piece) -> str:
    """What the part of a piece depends on, as a hex SHA-256: its place and bytes, how it is read, and versions."""
    facts = [
        VERSION,
        package_version("drag-rl"),
        f"{read.__module__}:{read.__qualname__}",
        str(piece.path),
        piece.first,
        hashlib.sha256(piece.data).hexdigest(),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _pages(folder: Path, key: str) -> Path:
    return folder / f"{key}.parquet"


def _dropped(folder: Path, key: str) -> Path:
    return folder / f"{key}.json"
