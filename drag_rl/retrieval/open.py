"""Opening an index folder of any kind."""

from __future__ import annotations

from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest, read_manifest
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.index_folder import check_corpus, check_files, kind_of
from drag_rl.retrieval.kinds import INDEX_KINDS, IndexKind


def open_retriever(folder: Path | str, pages_dir: Path | str | None = None) -> Retriever:
    """The retriever of an index folder of any kind, after checking its files; see ``index_folder.check_files``.

    Given ``pages_dir``, the index must have been made from those pages as they are now. Raises ``InputError`` for an
    index that is missing, unfinished, truncated, changed, of other pages or of an unknown kind.
    """
    folder = Path(folder)
    manifest = check_files(folder)
    if pages_dir is not None:
        check_corpus(folder, manifest, Path(pages_dir))
        _check_pages(folder, manifest, Path(pages_dir))
    return _kind(folder, manifest).open(folder, manifest)


def holds_model(folder: Path | str) -> bool:
    """Whether the retriever of an index folder loads a model, itself or in a part; nothing is loaded to tell.

    Raises ``InputError`` for a folder that is no index.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    return _kind(folder, manifest).holds_model(folder, manifest)


def _check_pages(folder: Path, manifest: Manifest, pages_dir: Path) -> None:
    """Raise ``InputError`` unless what an index and its parts know of pages besides their texts is of these."""
    from drag_rl.retrieval.parts import part_folders  # which opens parts as this module does

    _kind(folder, manifest).check_pages(folder, manifest, pages_dir)
    for part in part_folders(folder):
        _check_pages(part, read_manifest(part), pages_dir)


def _kind(folder: Path, manifest: Manifest) -> type[IndexKind]:
    kind = kind_of(manifest)
    if kind not in INDEX_KINDS:
        raise InputError(f"{folder}: {INDEX_KINDS.unknown(kind)}; is the package that made it installed?")
    return INDEX_KINDS[kind]
