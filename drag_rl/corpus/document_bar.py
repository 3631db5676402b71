"""A progress bar for commands that read documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from drag_rl.corpus import worker_pool


@contextmanager
def document_bar() -> Iterator[dict[str, Callable[..., None]]]:
    """A progress bar on stderr, shown on a terminal only: ``on_start`` and ``on_progress`` of ``ingest_documents``."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("documents", total=None)

        def start(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        def progress(step: worker_pool.Progress) -> None:
            where = f"{step.source.file} page {step.page_number} of {step.page_count or '?'}"
            bar.update(task, advance=int(step.done), description=escape(where))

        yield {"on_start": start, "on_progress": progress}
