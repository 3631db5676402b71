"""Building an INDEX_DIR of any kind from a PAGES_DIR: all or nothing, and nothing twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.pool import read_left_out
from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined, fingerprint_files
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import Manifest, read_manifest, write_manifest
from drag_rl.retrieval.index_folder import (
    DEFAULT_KIND,
    KIND,
    STAGE,
    WORD_RULE,
    WORD_RULE_NOW,
    check_files,
    corpus_inputs,
    kind_of,
)
from drag_rl.retrieval.kinds import INDEX_KINDS, IndexKind
from drag_rl.retrieval.page_texts import PageTexts, write_texts
from drag_rl.types import Page


def build_index(
    pages_dir: Path | None, index_dir: Path, kind: str = DEFAULT_KIND, **options: Any
) -> tuple[Manifest, bool]:
    """Index every readable page of the pool; returns the manifest and whether anything had to be built.

    ``options`` are the fields of the kind's settings; ``pages_dir`` is None for a kind that is composed of others. The
    folder is built beside ``index_dir`` and takes its place at the end; an index of the same pages, parts and options
    is left as it is. Raises ``InputError`` for bad options, parts or pages, or if ``index_dir`` holds something else.
    """
    started = time.monotonic()
    index = _index(kind, options)
    settings = json.loads(json.dumps(asdict(index))) | {KIND: kind, WORD_RULE: WORD_RULE_NOW}
    inputs = index.inputs() | (corpus_inputs(pages_dir) if pages_dir else {})
    if (present := _same(index_dir, inputs, settings)) is not None:
        return present, False
    with new_folder(index_dir, STAGE) as folder:
        if pages_dir is None:
            indexed = index.compose(folder)
            counts = {"pages_indexed": len(indexed)}
        else:
            pages, left_out, texts = _readable(pages_dir)
            indexed = write_index(folder, texts, index)
            counts = _counts(pages, left_out, indexed)
        files = fingerprint_files(folder)
        manifest = write_manifest(
            folder,
            stage=STAGE,
            fingerprint=combined(files),
            inputs=inputs,
            config=settings | {"files": files},
            counts=counts,
            seconds=time.monotonic() - started,
            packages=("PyStemmer", "numpy", "pyarrow", *index.packages),
        )
    return manifest, True


def write_index(folder: Path, texts: Mapping[str, str], index: IndexKind) -> PageTexts:
    """Write all files of an index of pages but its manifest into an empty folder; returns the pages.

    ``texts`` are page id -> text, in page order. Raises ``InputError`` for pages that cannot be indexed.
    """
    write_texts(folder, texts, index.tokenizer)
    pages = PageTexts.open(folder)
    index.write(folder, pages)
    return pages


def _readable(pages_dir: Path) -> tuple[list[Page], dict[str, str], dict[str, str]]:
    """All pages, why some are left out of the pool, and page id -> text of the others that could be read."""
    pages = load_pages(pages_dir)
    left_out = read_left_out(pages_dir)
    texts = {
        page.page_id: page.text for page in pages if page.status == "ok" and page.page_id not in left_out
    }
    if not texts:
        raise InputError(f"{pages_dir}: no page to index: all failed or are left out of the pool")
    return pages, left_out, texts


def _index(kind: str, options: Mapping[str, Any]) -> IndexKind:
    """The settings of an index. Raises ``InputError`` for an unknown kind or option, or a bad value."""
    settings = INDEX_KINDS.find(kind, "--kind")
    known = {field.name for field in fields(settings)}
    for name in options:
        if name not in known:
            raise InputError(f"--{name.replace('_', '-')} is no option of --kind {kind}")
    return settings(**options)


def _counts(pages: Sequence[Page], left_out: Mapping[str, str], indexed: PageTexts) -> dict[str, int]:
    readable = (page.page_id for page in pages if page.status == "ok")
    reasons = Counter(left_out[page_id] for page_id in readable if page_id in left_out)
    return {
        "pages": len(pages),
        "pages_indexed": len(indexed),
        "pages_without_text": int(np.count_nonzero(np.diff(indexed.terms.page_starts) == 0)),
        "pages_failed": sum(page.status == "failed" for page in pages),
        **{f"pages_left_out_{reason}": count for reason, count in sorted(reasons.items())},
        "terms": len(indexed.terms.vocabulary),
    }


def _same(index_dir: Path, inputs: dict[str, str], settings: Mapping[str, Any]) -> Manifest | None:
    """The manifest of an index of the same pages and options that is there and whole, None without one."""
    try:
        present = read_manifest(index_dir)
        config = present.config | {KIND: kind_of(present)}
        if present.inputs != inputs or any(config.get(name) != value for name, value in settings.items()):
            return None
        return check_files(index_dir)
    except InputError:
        return None
