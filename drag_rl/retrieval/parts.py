"""The parts of a composed index: other index folders, named by place and fingerprint."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.index_folder import STAGE
from drag_rl.retrieval.open import holds_model, open_retriever
from drag_rl.retrieval.page_texts import PageTexts

PARTS = "parts.json"


def part_inputs(parts: Sequence[Path | str]) -> dict[str, str]:
    """The inputs of an index of these parts: the corpus that they share, and each part's fingerprint.

    Raises ``InputError`` for a part that is no index, or whose pages are not those of the first.
    """
    inputs: dict[str, str] = {}
    corpora = []
    for number, part in enumerate(map(Path, parts)):
        manifest = read_manifest(part)
        if manifest.stage != STAGE:
            raise InputError(f"--part {part}: is no search index; run drag index")
        inputs[f"part {number}"] = manifest.fingerprint
        corpora.append({name: manifest.inputs[name] for name in ("pages", "pool") if name in manifest.inputs})
    known = [corpus for corpus in corpora if corpus]
    for place, corpus in zip(parts, corpora, strict=True):
        if corpus and corpus != known[0]:
            raise InputError(
                f"--part {place}: was made from other pages than the other parts; index the same pages"
            )
    return inputs | (known[0] if known else {})


def write_parts(folder: Path, parts: Sequence[Path | str]) -> None:
    """Write which parts an index has, by their paths from its folder, so that all of them may move together."""
    rows = [
        {
            "path": os.path.relpath(Path(part).resolve(), folder.resolve()),
            "fingerprint": read_manifest(Path(part)).fingerprint,
        }
        for part in parts
    ]
    (folder / PARTS).write_text(json.dumps(rows, indent=1), encoding="utf-8")


def part_folders(folder: Path) -> list[Path]:
    """Where the parts of an index lie, in order; none where it has no parts."""
    return [path for path, _ in _parts(folder)]


def a_part_holds_model(folder: Path) -> bool:
    """Whether the retriever of some part of a composed index loads a model."""
    return any(map(holds_model, part_folders(folder)))


def pages_of(folder: Path) -> PageTexts:
    """The pages of an index folder, or of its first part; no retriever is opened, so no model is loaded."""
    parts = part_folders(folder)
    return pages_of(parts[0]) if parts else PageTexts.open(folder)


def open_parts(folder: Path) -> list[Retriever]:
    """The retrievers of a composed index's parts, in order.

    Raises ``InputError`` for a part that has gone, or that has changed since the index was composed.
    """
    parts = []
    for path, fingerprint in _parts(folder):
        part = open_retriever(path)
        if part.fingerprint != fingerprint:
            raise InputError(f"{path}: has changed since {folder} was composed of it; run drag index again")
        parts.append(part)
    return parts


def _parts(folder: Path) -> list[tuple[Path, str]]:
    """The place and the fingerprint of each part."""
    if not (folder / PARTS).is_file():
        return []
    rows = json.loads((folder / PARTS).read_text(encoding="utf-8"))
    return [(Path(os.path.normpath(folder.resolve() / row["path"])), str(row["fingerprint"])) for row in rows]
