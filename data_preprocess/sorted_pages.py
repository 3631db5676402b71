"""Pages of text in the order of a folder of pages, however many there are: an external merge sort.

As many pages as fit in a bounded part of memory are sorted and put into a file, a *run*; then all runs are read at once
and merged. What fits in one run never touches the disk.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from data_preprocess.datasets import TextPage
from drag_rl.files.folders import work_folder
from drag_rl.files.parquet import iter_rows, write_rows

RUN_CHARS = 128 << 20
"""Characters of a run, at most; 300 or so bytes of each page's own are counted as such."""
PAGE_CHARS = 300
MAX_RUNS = 64
"""Files that are merged at once: of each a row group is in memory. So many become one before there are more."""


def sorted_pages(
    pages: Iterable[TextPage], beside: Path, on_twice: Callable[[TextPage, TextPage], None]
) -> Iterator[TextPage]:
    """The pages by ``(doc_id, page_number)``, each once.

    Runs lie in a folder ``beside`` this one, which goes at the end, and at the next start after a kill. Of pages of
    one id the first that was given is kept; ``on_twice`` is told of each other one, after the one that is kept.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(beside.parent, f"{beside.name}.sorting") as folder:
        runs: list[Path] = []
        names = (folder / f"{number:06d}.parquet" for number in count())
        last: list[TextPage] = []
        for run in _runs(pages):
            if last:
                runs.append(next(names))
                write_rows(runs[-1], last, TextPage)
            if len(runs) == MAX_RUNS:
                runs = [_merged(runs, next(names))]
            run.sort(key=_key)
            last = run
        merged = heapq.merge(
            *_read(runs), last, key=_key
        )  # stable: of equals the first that was given comes first
        kept: TextPage | None = None
        for page in merged:
            if kept is not None and _key(kept) == _key(page):
                on_twice(kept, page)
                continue
            kept = page
            yield page


def _read(runs: Sequence[Path]) -> list[Iterator[TextPage]]:
    return [iter_rows(path, TextPage) for path in runs]


def _merged(runs: Sequence[Path], path: Path) -> Path:
    """All runs as one, in their place."""
    write_rows(path, heapq.merge(*_read(runs), key=_key), TextPage)
    for run in runs:
        run.unlink()
    return path


def _runs(pages: Iterable[TextPage]) -> Iterator[list[TextPage]]:
    run: list[TextPage] = []
    chars = 0
    for page in pages:
        run.append(page)
        chars += PAGE_CHARS + len(page.text)
        if chars >= RUN_CHARS:
            yield run
            run, chars = [], 0
    yield run


def _key(page: TextPage) -> tuple[str, int]:
    return page.doc_id, page.page_number
