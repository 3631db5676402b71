"""A bar for commands that play episodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from drag_rl.star import collection
from drag_rl.trajectories.counts import Counts


class _Bar(collection.Progress):
    """Shows how a run goes on."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("loading", total=None)

    def waiting(self, what: str) -> None:
        if what:
            self._bar.update(self._task, description=what)

    def playing(self, episodes: int) -> None:
        self._bar.reset(self._task, total=episodes, description="episodes")

    def ended(self, counts: Counts) -> None:
        found = f"solved {counts.solved}, errors {counts.errors}"
        self._bar.update(self._task, completed=counts.episodes, description=found)

    def answering(self, answers: int) -> None:
        self._bar.reset(self._task, total=answers, description="answers")

    def answered(self, answers: int) -> None:
        self._bar.update(self._task, completed=answers)


@contextmanager
def episode_bar() -> Iterator[collection.Progress]:
    """A progress bar on stderr, shown on a terminal only, for a run."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield _Bar(bar)
