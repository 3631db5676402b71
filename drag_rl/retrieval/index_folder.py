"""What lies in an INDEX_DIR, and refusing one that is damaged or of other pages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from drag_rl.corpus.pool import pool_fingerprint
from drag_rl.errors import InputError
from drag_rl.files.manifest import MANIFEST, Manifest, read_manifest, sha256_file

STAGE = "index"
KIND, DEFAULT_KIND = "kind", "bm25"
"""In the manifest's ``config``: the back end that searches the index."""
FORMAT, FORMAT_NOW = "index_format", 4
"""In the manifest's ``config``: how an index is laid out, and by which rule its pages were told into words."""
FILES = "files"
"""In the manifest's ``config``: of each file, by its path inside the folder, ``bytes`` and ``sha256``."""
PAGES_DIR, PAGES_DIR_FROM_INDEX = "pages_dir", "pages_dir_from_index"
"""In the manifest's ``config``: where the pages lay, and where that is from the index folder."""
SMALL_BYTES = 8 << 20
"""Files up to this size are read whole when an index is opened."""


def kind_of(manifest: Manifest) -> str:
    """Which back end an index is for: a name in the table of ``drag_rl.retrieval.kinds``."""
    return str(manifest.config.get(KIND, DEFAULT_KIND))


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What the manifest says of the files of a folder."""
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_files(index_dir: Path) -> Manifest:
    """The manifest of an index whose files are all there, of the right size, and the small ones unchanged.

    That takes no longer for a large index; :func:`verify_files` reads all of it. Raises ``InputError``.
    """
    return _checked(index_dir, SMALL_BYTES)


def verify_files(index_dir: Path) -> Manifest:
    """The manifest of an index whose files are unchanged to the last byte. Raises ``InputError``."""
    return _checked(index_dir, None)


def _checked(index_dir: Path, most_bytes: int | None) -> Manifest:
    """The manifest, after reading the files of up to ``most_bytes`` (None: all)."""
    manifest = read_manifest(index_dir)
    files = manifest.config.get(FILES)
    if manifest.stage != STAGE or not isinstance(files, dict):
        raise InputError(f"{index_dir} is no search index; run drag index")
    if manifest.config.get(FORMAT) != FORMAT_NOW:
        raise InputError(f"{index_dir} is of an older version; run drag index again")
    for name, known in files.items():
        path = index_dir / name
        try:
            size = path.stat().st_size
            whole = size == known["bytes"] and (
                (most_bytes is not None and size > most_bytes) or sha256_file(path) == known["sha256"]
            )
        except OSError as error:
            raise InputError(f"{path}: missing or unreadable; run drag index again") from error
        if not whole:
            raise InputError(f"{path}: truncated or changed; run drag index again")
    return manifest


def check_corpus(index_dir: Path, manifest: Manifest, pages_dir: Path) -> None:
    """Raise ``InputError`` unless the index was made from ``pages_dir`` as it is now."""
    if not corpus_inputs(pages_dir).items() <= manifest.inputs.items():
        raise InputError(f"{index_dir} was not made from {pages_dir} as it is now; run drag index again")


def pages_config(index_dir: Path, pages_dir: Path | None) -> dict[str, Any]:
    """The manifest's settings that say where the folder of pages lies; see :func:`pages_dir_of`."""
    if pages_dir is None:
        return {}
    from_index = os.path.relpath(pages_dir.resolve(), index_dir.resolve())
    return {PAGES_DIR: str(pages_dir.resolve()), PAGES_DIR_FROM_INDEX: from_index}


def pages_dir_of(index_dir: Path, manifest: Manifest) -> Path | None:
    """The folder of pages that an index was made from, both of which may have moved together; None if it is gone."""
    config = manifest.config
    if PAGES_DIR not in config:
        return None
    candidates = (index_dir / str(config.get(PAGES_DIR_FROM_INDEX, "")), Path(str(config[PAGES_DIR])))
    return next((path for path in candidates if (path / MANIFEST).is_file()), None)


def corpus_inputs(pages_dir: Path) -> dict[str, str]:
    """What an index depends on: the fingerprints of the pages and of the pool."""
    return {"pages": read_manifest(pages_dir).fingerprint, "pool": pool_fingerprint(pages_dir)}
