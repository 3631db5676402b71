"""From page images to the files of a late index: piece by piece, by one model on each device, and nothing twice.

A piece is some pages in page order. It is encoded by one process and written whole, so that the files do not depend on
how many processes there are, or how often they were killed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined
from drag_rl.files.manifest import Problem, sha256_file
from drag_rl.retrieval.build_progress import present_progress
from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder
from drag_rl.retrieval.late.encoding_processes import Work, encode_pieces
from drag_rl.retrieval.late.page_source import PageSource
from drag_rl.retrieval.late.piece_encoder import Encoded
from drag_rl.retrieval.late.quantisation import Halves
from drag_rl.retrieval.late.store import BITS, STARTS, VECTORS, write_store
from drag_rl.retrieval.mapped import mapped_array
from drag_rl.retrieval.page_ids import TEXTS
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.unfinished import MADE_FROM, index_beside, linked, unfinished

KEYS = "image_keys.npy"
"""In an index folder: what the image of each page depends on, 16 bytes of a digest, shape (D, 16)."""
UNSEEN = "unseen.json"
"""In an index folder: the pages that have no vector, and why."""
PIECE = 256
"""Pages that are encoded between two saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingSettings:
    """How pages become vectors."""

    model: MultiVectorSettings
    devices: tuple[str, ...]
    """Where it runs; one process for each, this one where there is one only."""
    pool: int
    """Factor of token pooling; 1 for none."""
    binary: bool
    """Whether the vectors' bits are stored, too."""


def write_page_vectors(
    folder: Path,
    pages: PageTexts,
    source: PageSource,
    settings: EncodingSettings,
    earlier: Path | None = None,
) -> None:
    """Write the vectors of pages into an index folder, whose pages are there already.

    What there is of them is used: those of ``earlier``, an index of the same model and settings; of an index beside it
    that was made from the same images; and what a killed build has left there, see ``drag_rl.retrieval.unfinished``.
    Raises ``InputError`` if no page can be seen.
    """
    page_ids = pages.page_ids
    keys_D = np.frombuffer(
        b"".join(bytes.fromhex(source.key(page_id))[:16] for page_id in page_ids), np.uint8
    )
    np.save(folder / KEYS, keys_D.reshape(-1, 16))
    embedder = open_multi_vector_embedder(settings.model)
    how = f"{settings.model.batch_size} {settings.pool} {settings.binary} {PIECE}"
    made_from = combined(
        {
            "pages": sha256_file(folder / TEXTS),
            "images": sha256(keys_D.tobytes()).hexdigest(),
            "model": embedder.fingerprint,
            "settings": how,
        }
    )
    (folder / MADE_FROM).write_text(made_from, encoding="ascii")
    if (same := index_beside(folder, made_from)) is not None:
        for name in (VECTORS, STARTS, UNSEEN, *([BITS] if settings.binary else [])):
            linked(same / name, folder / name)
        return
    with unfinished(folder, made_from) as pieces:
        _encode(folder, pieces, len(pages), source, settings, earlier)
        shutil.rmtree(pieces / "images", ignore_errors=True)
        _join(folder, pieces, pages, embedder.width, binary=settings.binary)


def unseen_pages(folder: Path) -> list[Problem]:
    """The pages of an index that nothing finds, as they have no image, and why."""
    unseen = json.loads((folder / UNSEEN).read_text(encoding="utf-8"))
    return [Problem(where=page_id, reason=f"not searched: {reason}") for page_id, reason in unseen.items()]


def known_rows(keys_D: npt.NDArray[np.uint8], earlier: Path) -> npt.NDArray[np.int64]:
    """Where the vectors of each page stand in an earlier index that has its very image, -1 if they do not (D,)."""
    before = mapped_array(earlier / KEYS)
    seen = np.flatnonzero(np.diff(mapped_array(earlier / STARTS)))
    rows = {before[row].tobytes(): int(row) for row in seen}
    return np.array([rows.get(key.tobytes(), -1) for key in keys_D], np.int64)


def _encode(
    folder: Path,
    pieces: Path,
    pages: int,
    source: PageSource,
    settings: EncodingSettings,
    earlier: Path | None,
) -> None:
    """Make the pieces that are not there."""
    work = Work(
        folder=folder,
        pieces=pieces,
        source=source,
        model=settings.model,
        pool=settings.pool,
        known=None if earlier is None else (earlier, known_rows(mapped_array(folder / KEYS), earlier)),
    )
    begins = range(0, pages, PIECE)
    todo = [range(begin, min(begin + PIECE, pages)) for begin in begins if not work.piece(begin).is_file()]
    progress, done = present_progress(), pages

    def told(more: int) -> None:
        nonlocal done
        done += more
        progress.at("encoding page images", done, pages)

    told(-sum(map(len, todo)))
    encode_pieces(work, todo, settings.devices, told)


def _join(folder: Path, pieces: Path, pages: PageTexts, width: int, *, binary: bool) -> None:
    paths = [Work.path(pieces, begin) for begin in range(0, len(pages), PIECE)]
    counts: list[npt.NDArray[np.int64]] = []
    unseen: dict[str, str] = {}
    for number, path in enumerate(paths):
        piece = Encoded.read(path)
        counts.append(piece.counts)
        unseen |= {pages.page_ids[number * PIECE + place]: reason for place, reason in piece.reasons.items()}
    counts_D = np.concatenate(counts)
    if not counts_D.any():
        raise InputError(f"no page has an image to look at; the first: {next(iter(unseen.values()))}")
    present_progress().at("putting the vectors together", 0, 0)
    write_store(folder, counts_D, _vectors(paths), width, binary=binary)
    (folder / UNSEEN).write_text(json.dumps(unseen, ensure_ascii=False, indent=1), encoding="utf-8")


def _vectors(paths: Sequence[Path]) -> Iterator[Halves]:
    for path in paths:
        yield Encoded.read(path).vectors
