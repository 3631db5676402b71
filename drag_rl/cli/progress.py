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

from drag_rl.star.collection import Watcher
from drag_rl.trajectories.counts import Tally


class _Bar(Watcher):
    """Shows how a run goes on."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("loading", total=None)

    def serving(self, model_path: str | None) -> None:
        if model_path is not None:
            self._bar.update(self._task, description="starting vLLM")

    def playing(self, episodes: int) -> None:
        self._bar.reset(self._task, total=episodes, description="episodes")

    def ended(self, tally: Tally) -> None:
        found = f"solved {tally.solved}, errors {tally.errors}"
        self._bar.update(self._task, completed=tally.episodes, description=found)


@contextmanager
def episode_bar() -> Iterator[Watcher]:
    """A progress bar on stderr, shown on a terminal only, as the watcher of a run."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield _Bar(bar)
