"""Pages of text in the order of a folder of pages, however many there are: an external merge sort.

As many pages as fit in a bounded part of memory are sorted and put into a file, a *run*; then all runs are read at once
and merged. What fits in one run never touches the disk.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

from data_preprocess.datasets import TextPage
from drag_rl.files.folders import work_folder
from drag_rl.files.parquet import iter_rows, write_rows

RUN_CHARS = 128 << 20
"""Characters of a run, at most; 300 or so bytes of each page's own are counted as such."""
PAGE_CHARS = 300
MAX_RUNS = 64
"""Files that are merged at once: of each a row group is in memory. Where there are more, so many become one first."""


OnTwice = Callable[[TextPage, TextPage], None]
"""Is told of a page whose id an earlier one has: the one that is kept, and this one."""


def sorted_pages(pages: Iterable[TextPage], beside: Path, on_twice: OnTwice) -> Iterator[TextPage]:
    """The pages by ``(doc_id, page_number)``, each once.

    Runs lie in a folder ``beside`` this one, which goes at the end, and at the next start after a kill. Of pages of
    one id the first that was given is kept; ``on_twice`` is told of each other one.
    """
    with _work_folder(beside) as folder:
        runs: list[Path] = []
        last: list[TextPage] = []
        for run in _runs(pages):
            if last:
                runs.append(folder / f"run-{len(runs)}.parquet")
                write_rows(runs[-1], last, TextPage)
            run.sort(key=page_key)
            last = run
        yield from _merged(runs, last, folder, on_twice)


def merged_pages(runs: Sequence[Path], beside: Path, on_twice: OnTwice) -> Iterator[TextPage]:
    """The same of files of pages, each sorted by ``page_key``, given in the order of their pages. They stay."""
    with _work_folder(beside) as folder:
        yield from _merged(runs, [], folder, on_twice)


def page_key(page: TextPage) -> tuple[str, int]:
    """What pages are sorted by; pages of one id stay in the order in which they were given."""
    return page.doc_id, page.page_number


def _work_folder(beside: Path) -> AbstractContextManager[Path]:
    beside.parent.mkdir(parents=True, exist_ok=True)
    return work_folder(beside.parent, f"{beside.name}.sorting")


def _merged(
    runs: Sequence[Path], last: Sequence[TextPage], folder: Path, on_twice: OnTwice
) -> Iterator[TextPage]:
    """The pages of all runs and of ``last``, which was given after them; larger runs go into ``folder``."""
    names = (folder / f"merged-{number}.parquet" for number in count())
    while len(runs) > MAX_RUNS:
        several = [runs[place : place + MAX_RUNS] for place in range(0, len(runs), MAX_RUNS)]
        runs = [_as_one(some, next(names)) for some in several]
    kept: TextPage | None = None
    # The merge is stable: of equals the first that was given comes first.
    for page in heapq.merge(*_read(runs), last, key=page_key):
        if kept is not None and page_key(kept) == page_key(page):
            on_twice(kept, page)
            continue
        kept = page
        yield page


def _read(runs: Sequence[Path]) -> list[Iterator[TextPage]]:
    return [iter_rows(path, TextPage) for path in runs]


def _as_one(runs: Sequence[Path], path: Path) -> Path:
    """Several runs as one; those that were made in its folder go."""
    write_rows(path, heapq.merge(*_read(runs), key=page_key), TextPage)
    for run in runs:
        if run.parent == path.parent:
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
