"""``drag view``: trajectories, rollout dumps or results as one HTML file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from drag_rl.corpus.images import PageImages
from drag_rl.errors import InputError
from drag_rl.files.outputs import refuse_overlap
from drag_rl.retrieval import open_retriever
from drag_rl.view.curves import Panel, run_panels
from drag_rl.view.heat import Heat, Match, make_heat, wanted_matches
from drag_rl.view.payload import payload
from drag_rl.view.read import read_rollouts
from drag_rl.view.report import claim_report, write_report
from drag_rl.view.rollout import Rollout
from drag_rl.view.sources import find_sources, is_run
from drag_rl.view.thumbnails import Thumbnail, draw_thumbnails, wanted_pages

SHOWN_PROBLEMS = 5


def view(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            show_default=False,
            help="trajectories.jsonl, a rollout dump, a results JSON, or a run folder (its curves come too).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")],
    pages: Annotated[
        Path | None, typer.Option(help="Folder of pages made by `drag ingest`: shows pictures of the pages.")
    ] = None,
    thumbnails: Annotated[
        int, typer.Option(min=0, help="How many pages get a picture, the most often seen; smaller if many.")
    ] = 1000,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="INDEX",
            help="Index with a late part: shows where page pictures match the words of a search; needs --pages.",
        ),
    ] = None,
    heat_maps: Annotated[
        int, typer.Option(min=1, help="How many hits --explain explains, the most often seen.")
    ] = 200,
    limit: Annotated[
        int, typer.Option(min=0, help="How many trajectories are shown at most, spread evenly; 0 for all.")
    ] = 2000,
    title: Annotated[
        str | None, typer.Option(help="Heading of the report (else the names of the inputs).")
    ] = None,
) -> None:
    """Write a report that one can read, filter and send on: one HTML file that needs no network.

    Shows every turn with its reasoning, query, hits and their ranks, the answer with its citations, the rollouts of
    a question side by side with their rewards and advantages, and the curves of a training run.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out}: should end in .html")
    if explain is not None and pages is None:
        raise InputError("--explain needs --pages: heat maps are laid over the pictures of pages")
    refuse_overlap({"--out": out}, {"INPUT": inputs, "--pages": pages, "--explain": explain})
    claim_report(out)
    selection = read_rollouts(find_sources(inputs), limit)
    panels: list[Panel] = []
    notes = list(selection.notes)
    runs = [path for path in inputs if is_run(path)]
    if len(runs) == 1:
        panels, missing = run_panels(runs[0])
        notes += missing
    elif runs:
        notes.append("curves are drawn for one run at a time: give one run folder alone")
    pictures: dict[str, Thumbnail] = {}
    if pages is not None and thumbnails:
        pictures, problems = _pictures(pages, selection.rollouts, thumbnails)
        notes += problems
    heat: dict[Match, Heat] = {}
    if explain is not None:
        heat, problems = _heat(explain, selection.rollouts, pictures, heat_maps)
        notes += problems
    names = ", ".join(path.resolve().name for path in inputs[:3]) + (" ..." if len(inputs) > 3 else "")
    data = payload(selection.rollouts, panels, pictures, notes, heat)
    size = write_report(data, pictures, title or names, out, heat)
    say = Console(soft_wrap=True, highlight=False)
    for note in notes:
        say.print(f"note: {note}", markup=False)
    questions = len({question["id"] for question in data["questions"]})
    shown = f"{len(selection.rollouts)} rollouts of {questions} questions"
    explained = f", {len(heat)} heat maps" if explain is not None else ""
    say.print(f"{out}: {shown}, {len(pictures)} page pictures{explained}, {size / 1e6:.1f} MB", markup=False)


def _pictures(
    pages: Path, rollouts: tuple[Rollout, ...], limit: int
) -> tuple[dict[str, Thumbnail], list[str]]:
    images = PageImages(pages)
    wanted = wanted_pages(rollouts, limit)
    with _bar("page pictures", len(wanted)) as advance:
        found, problems = draw_thumbnails(images, wanted, advance)
    return found, _first_of(problems, "pages without a picture")


def _heat(
    index: Path, rollouts: tuple[Rollout, ...], pictures: Collection[str], limit: int
) -> tuple[dict[Match, Heat], list[str]]:
    wanted = wanted_matches(rollouts, pictures, limit)
    with _bar("heat maps", len(wanted)) as advance:
        found, problems = make_heat(open_retriever(index), wanted, advance)
    return found, _first_of(problems, "hits without a heat map")


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; what it gives is called after each."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _first_of(problems: list[str], what: str) -> list[str]:
    more = [f"and {len(problems) - SHOWN_PROBLEMS} more {what}"]
    return problems[:SHOWN_PROBLEMS] + (more if len(problems) > SHOWN_PROBLEMS else [])
