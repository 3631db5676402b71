"""Rounds of STaR side by side: ``python -m drag_rl.evaluation.rounds RUN`` prints a table and writes ``RUN/rounds.md``.

What each round of ``scripts/star.sh`` collected, kept and trained on, and how well its model then searches.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.evaluation.results import read_results
from drag_rl.files.manifest import atomic_write, manifest_path, read_manifest

COUNTS = {
    "episodes": ("trajectories.jsonl", "episodes"),
    "solved": ("trajectories.jsonl", "solved"),
    "with a hint": ("hinted.jsonl", "episodes"),
    "kept": ("processed.jsonl", "valid"),
}
"""Heading -> artefact of a round, and the name of the count in its manifest."""
_ROUND = re.compile(r"round-([1-9]\d{0,5})", re.ASCII)
"""What ``star.sh`` calls a round's folder; the user's copies of one, such as ``round-1.bak``, are none."""
METRICS = {"success": "success", "first.hit@1": "hit@1", "first.mrr": "MRR of the first search"}
"""Metric -> heading; means over the held-out questions."""


def rounds_table(run: Path) -> str:
    """A Markdown table with a row for each round; round 0 is the untrained model.

    Raises:
        InputError: The folder holds no round.
    """
    rounds = {int(name[1]): path for path in run.glob("round-*") if (name := _ROUND.fullmatch(path.name))}
    if not rounds:
        raise InputError(f"{run}: holds no round-1; is it a RUN of scripts/star.sh?")
    headings = ["round", *COUNTS, "trained on", *METRICS.values()]
    rows = [["0", *[""] * (len(COUNTS) + 1), *_measured(run, 0)]]
    for number, folder in sorted(rounds.items()):
        counts = [_count(folder / artefact, name) for artefact, name in COUNTS.values()]
        rows.append([str(number), *counts, _trained(folder / "training_data"), *_measured(run, number)])
    lines = [headings, ["---:"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _count(artefact: Path, name: str) -> str:
    return str(read_manifest(artefact).counts.get(name, 0)) if manifest_path(artefact).is_file() else ""


def _trained(folder: Path) -> str:
    if not manifest_path(folder).is_file():
        return ""
    counts = read_manifest(folder).counts
    return str(
        sum(rows for name, rows in counts.items() if name.startswith("sft_") and name.endswith("_train"))
    )


def _measured(run: Path, number: int) -> list[str]:
    path = run / f"after-{number}-rounds.json"
    if not path.is_file():
        return [""] * len(METRICS)
    values = (read_results(path).aggregate[name].value for name in METRICS)
    return ["" if value is None else f"{value:.3f}" for value in values]


def main(run: Annotated[Path, typer.Argument(help="RUN of scripts/star.sh.")]) -> None:
    """Print what each round collected, kept, trained on and reached, and write it to RUN/rounds.md."""
    table = rounds_table(run)
    with atomic_write(run / "rounds.md") as file:
        file.write(table)
    typer.echo(table.rstrip())


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run_app(app, "rounds")
