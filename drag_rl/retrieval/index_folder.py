"""What lies in an INDEX_DIR, and refusing one that is damaged or of other pages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from drag_rl.corpus.pool import pool_fingerprint
from drag_rl.errors import InputError
from drag_rl.files.fingerprint import file_fingerprint
from drag_rl.files.manifest import Manifest, read_manifest
from drag_rl.words import has_other_scripts

STAGE = "index"
KIND, DEFAULT_KIND = "kind", "bm25"
"""In the manifest's ``config``: the back end that searches the index. Without it the index is of the default kind, from
when that was the only one."""
WORD_RULE, WORD_RULE_NOW = "word_rule", 2
"""In the manifest: by which rule pages were told into words; 1, which none says, knew words between spaces only."""


def kind_of(manifest: Manifest) -> str:
    """Which back end an index is for: a name in the table of ``drag_rl.retrieval.open``."""
    return str(manifest.config.get(KIND, DEFAULT_KIND))


def check_files(index_dir: Path) -> Manifest:
    """The manifest of an index whose files are all there and unchanged.

    Raises ``InputError``.
    """
    manifest = read_manifest(index_dir)
    files = manifest.config.get("files")
    if manifest.stage != STAGE or not isinstance(files, dict):
        raise InputError(f"{index_dir} is no search index; run drag index")
    for name, fingerprint in files.items():
        try:
            found = file_fingerprint(index_dir / name)
        except OSError as error:
            raise InputError(f"{index_dir / name}: missing or unreadable; run drag index again") from error
        if found != fingerprint:
            raise InputError(f"{index_dir / name}: truncated or changed; run drag index again")
    return manifest


def check_corpus(index_dir: Path, manifest: Manifest, pages_dir: Path) -> None:
    """Raise ``InputError`` unless the index was made from ``pages_dir`` as it is now."""
    if not corpus_inputs(pages_dir).items() <= manifest.inputs.items():
        raise InputError(f"{index_dir} was not made from {pages_dir} as it is now; run drag index again")


def check_words(index_dir: Path, manifest: Manifest, terms: Iterable[str]) -> None:
    """Raise ``InputError`` for an index whose terms were told apart by an older rule than a query's are.

    Latin, Greek and Cyrillic words are told apart as ever, so an older index of these is as good as a new one.
    """
    if manifest.config.get(WORD_RULE) != WORD_RULE_NOW and any(map(has_other_scripts, terms)):
        raise InputError(
            f"{index_dir} is of an older version, which finds no Chinese, Japanese, Korean or Thai word; "
            "run drag index again"
        )


def corpus_inputs(pages_dir: Path) -> dict[str, str]:
    """What an index depends on: the fingerprints of the pages and of the pool."""
    return {"pages": read_manifest(pages_dir).fingerprint, "pool": pool_fingerprint(pages_dir)}
