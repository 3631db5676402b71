"""A bar for the building of an index, and how many processes it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from drag_rl.cpus import usable_cpus
from drag_rl.retrieval.build_progress import BuildProgress

MOST_WORKERS = 8


def default_workers() -> int:
    """One for each CPU that this process may use, within bounds."""
    usable = usable_cpus()
    return min(usable, MOST_WORKERS)


class _Speed(TextColumn):
    """Pages a second of the step."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """Nothing until it is known."""
        return Text(f"{task.speed:,.0f} pages/s" if task.speed and task.total else "")


class IndexBar(BuildProgress):
    """Shows how a build goes on, and keeps what it has taken over."""

    def __init__(self, bar: Progress, about: str) -> None:
        self.kept = 0
        """Documents that were taken over from the index that was there."""
        self.documents = 0
        """All documents, where some were taken over."""
        self._bar = bar
        self._about = about
        self._step = ""
        self._task = bar.add_task(about, total=None)

    def at(self, step: str, pages: int, of: int) -> None:
        """See :class:`BuildProgress`."""
        if step != self._step:
            self._step = step
            self._bar.remove_task(self._task)
            self._task = self._bar.add_task(f"{self._about}: {step}", total=of or None)
        self._bar.update(self._task, completed=pages, total=of or None)

    def taken_over(self, documents: int, of: int) -> None:
        """See :class:`BuildProgress`."""
        self.kept, self.documents = documents, of


@contextmanager
def index_bar(about: str) -> Iterator[IndexBar]:
    """A progress bar on stderr, shown on a terminal only."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield IndexBar(bar, about)
