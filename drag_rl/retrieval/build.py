"""Building an INDEX_DIR of any kind from a PAGES_DIR: all or nothing, and nothing twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import Manifest, read_manifest, write_manifest
from drag_rl.retrieval.build_progress import BuildProgress
from drag_rl.retrieval.earlier import Earlier, earlier_index
from drag_rl.retrieval.index_folder import (
    DEFAULT_KIND,
    FILES,
    FORMAT,
    FORMAT_NOW,
    KIND,
    STAGE,
    check_files,
    corpus_inputs,
    files_of,
    pages_config,
)
from drag_rl.retrieval.kinds import INDEX_KINDS, IndexKind
from drag_rl.retrieval.page_store import write_page_store
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.readable import ReadablePages

WRITING = "writing the index"


def build_index(
    pages_dir: Path | None,
    index_dir: Path,
    kind: str = DEFAULT_KIND,
    *,
    workers: int = 1,
    progress: BuildProgress | None = None,
    **options: Any,
) -> tuple[Manifest, bool]:
    """Index every readable page of the pool; returns the manifest and whether anything had to be built.

    The folder is built beside ``index_dir`` and takes its place at the end; an index of the same pages, parts and
    options is left as it is. Where ``index_dir`` is an index of other pages and the same options, what it knows of
    unchanged pages is taken over; the files are those of a build from nothing, byte for byte.

    Args:
        pages_dir: A folder of pages; None for a kind that is composed of other indexes.
        index_dir: Where the index goes.
        kind: A kind of index.
        workers: Processes that read the words of pages, where there are thousands; with more than one, a script needs
            the usual ``if __name__ == "__main__"``. The files do not depend on it.
        progress: Is told how it goes.
        **options: Fields of the kind's settings.

    Raises:
        InputError: For bad options, parts or pages, or if ``index_dir`` holds something else.
    """
    started = time.monotonic()
    if workers < 1:
        raise InputError(f"--workers must be 1 or more, not {workers}")
    options_of_kind = _index(kind, options)
    settings = json.loads(json.dumps(asdict(options_of_kind))) | {KIND: kind, FORMAT: FORMAT_NOW}
    index = options_of_kind.of_pages(pages_dir) if pages_dir else options_of_kind
    inputs = index.inputs() | (corpus_inputs(pages_dir) if pages_dir else {})
    packages = ("PyStemmer", "numpy", "pyarrow", *index.packages)
    if (present := _same(index_dir, inputs, settings)) is not None:
        index.done(index_dir)
        return present, False
    with new_folder(index_dir, STAGE) as folder:
        if pages_dir is None:
            indexed = index.compose(folder)
            counts = {"pages_indexed": len(indexed)}
        else:
            readable = ReadablePages(pages_dir)
            earlier = earlier_index(index_dir, inputs, settings, ("drag-rl", *packages), index.tokenizer)
            indexed = write_index(
                folder, readable, index, earlier=earlier, workers=workers, progress=progress
            )
            counts = _counts(readable, indexed)
        files = files_of(folder)
        problems = index.problems(folder)
        manifest = write_manifest(
            folder,
            stage=STAGE,
            fingerprint=combined({name: file["sha256"] for name, file in files.items()}),
            inputs=inputs,
            config=settings | {FILES: files} | pages_config(index_dir, pages_dir),
            counts=counts | ({"problems": len(problems)} if problems else {}),
            problems=problems,
            seconds=time.monotonic() - started,
            packages=packages,
        )
    index.done(index_dir)
    return manifest, True


def write_index(
    folder: Path,
    texts: Mapping[str, str] | Iterable[tuple[str, str]],
    index: IndexKind,
    *,
    earlier: Path | None = None,
    workers: int = 1,
    progress: BuildProgress | None = None,
) -> PageTexts:
    """Write all files of an index of pages but its manifest into an empty folder; returns the pages.

    ``texts`` are page ids and their texts, in page order; ``earlier`` is an index of the same options. Raises
    ``InputError`` for pages that cannot be indexed.
    """
    progress = progress or BuildProgress()
    rows = write_page_store(
        folder,
        texts.items() if isinstance(texts, Mapping) else texts,
        index.tokenizer,
        earlier=earlier,
        workers=workers,
        progress=progress,
        expected=texts.expected if isinstance(texts, ReadablePages) else 0,
    )
    pages = PageTexts.open(folder)
    if earlier is None or not np.any(rows >= 0):
        progress.at(WRITING, 0, 0)
        with progress.shown():
            index.write(folder, pages)
        return pages
    before = Earlier(folder=earlier, pages=PageTexts.open(earlier), rows=rows)
    progress.taken_over(*before.documents(pages))
    progress.at(WRITING, 0, 0)
    with progress.shown():
        index.update(folder, pages, before)
    return pages


def _index(kind: str, options: Mapping[str, Any]) -> IndexKind:
    """The settings of an index. Raises ``InputError`` for an unknown kind or option, or a bad value."""
    settings = INDEX_KINDS.find(kind, "--kind")
    known = {field.name for field in fields(settings)}
    for name in options:
        if name not in known:
            raise InputError(f"--{name.replace('_', '-')} is no option of --kind {kind}")
    return settings(**options)


def _counts(readable: ReadablePages, indexed: PageTexts) -> dict[str, int]:
    return {
        "pages": readable.pages,
        "pages_indexed": len(indexed),
        "pages_without_text": int(np.count_nonzero(np.diff(indexed.terms.page_starts) == 0)),
        "pages_failed": readable.failed,
        **{f"pages_left_out_{reason}": count for reason, count in sorted(readable.left_out.items())},
        "terms": len(indexed.terms.vocabulary),
    }


def _same(index_dir: Path, inputs: dict[str, str], settings: Mapping[str, Any]) -> Manifest | None:
    """The manifest of an index of the same pages and options that is there and whole, None without one."""
    try:
        present = read_manifest(index_dir)
        if present.inputs != inputs or any(
            present.config.get(name) != value for name, value in settings.items()
        ):
            return None
        return check_files(index_dir)
    except InputError:
        return None
