"""A table and a picture of a run.

    python -m drag_rl.training.curves RUN [--png FILE]

reads what the replay buffer of GRPO and PPO wrote, ``RUN/rollouts/*.trajectories.jsonl`` (sampled, one file a training
step) and ``RUN/validation/*.trajectories.jsonl`` (greedy, step 0 is before training), or the losses of an SFT run,
``RUN/metrics/*.jsonl``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from drag_rl.console import run_app
from drag_rl.errors import InputError

COLUMNS = ("reward", "rank_score", "hit@1", "hit@k", "gold_rank", "format", "searches", "turns")
"""Shown in this order: the reward, then the breakdown's means over a step's trajectories."""

LOSSES = {
    "train/loss": "loss",
    "val/loss": "validation",
    "train/grad_norm": "gradient norm",
    "train/lr": "rate",
}
"""What verl's SFT trainer logs -> our heading."""

Curve = Mapping[int, Mapping[str, float]]
"""Step -> name -> mean; ``n`` is the number of trajectories."""


def read_curve(folder: Path) -> dict[int, dict[str, float]]:
    """The means of every step in a folder of ``<step>.trajectories.jsonl`` files, by step.

    Raises:
        InputError: A line is not a trajectory; names file and line. A last line without an end is a write that was
            cut short and is left out.
    """
    curve = {}
    for path in sorted(folder.glob("*.trajectories.jsonl"), key=lambda path: int(path.name.split(".")[0])):
        columns: dict[str, list[float]] = defaultdict(list)
        # JSON lines end with \n alone: str.splitlines would cut at the other separators of Unicode too.
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            if not line:
                continue
            try:
                row = json.loads(line)
                values = {"reward": row["reward"], **row["breakdown"]}
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path}, line {number}: not a trajectory ({error})") from error
            for name, value in values.items():
                columns[name].append(float(value))
        if columns:
            step = int(path.name.split(".")[0])
            curve[step] = {name: fmean(values) for name, values in columns.items()}
            curve[step]["n"] = len(columns["reward"])
    return curve


def read_losses(folder: Path) -> dict[int, dict[str, float]]:
    """The losses of an SFT run by step: a file for each start, of which the latest that has a step counts.

    Raises:
        InputError: A line is no step's metrics; names file and line. A last line without an end is left out.
    """
    curve: dict[int, dict[str, float]] = defaultdict(dict)
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            try:
                row = json.loads(line)
                found = {LOSSES[name]: float(value) for name, value in row["data"].items() if name in LOSSES}
                curve[int(row["step"])] |= found
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(f"{path}, line {number}: no metrics of a step ({error})") from error
    return dict(sorted(curve.items()))


def table(title: str, curve: Curve) -> Table:
    """A curve as a table, one row a step."""
    known = ("n", *COLUMNS, *LOSSES.values())
    names = [name for name in known if any(name in means for means in curve.values())]
    grid = Table(title=title, title_justify="left")
    for heading in ("step", *names):
        grid.add_column(heading, justify="right")
    for step, means in curve.items():
        grid.add_row(str(step), *(f"{means[name]:.4g}" if name in means else "" for name in names))
    return grid


def draw(panels: Mapping[str, Mapping[str, Mapping[int, float]]], png: Path) -> None:
    """A PNG with a panel for each title, which shows its curves by their labels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, curves) in zip(row, panels.items(), strict=True):
        for (label, curve), style in zip(curves.items(), (".-", "o--"), strict=False):
            axes.plot(list(curve), list(curve.values()), style, label=label)
        axes.set(title=title, xlabel="step", ylabel="mean")
        axes.grid(alpha=0.3)
        axes.legend()
    png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=120)


def main(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    png: Annotated[Path | None, typer.Option(help="The picture's file.  [default: RUN/curves.png]")] = None,
) -> None:
    """Print the curves of a training run and draw them: reward and rank score by step, or the loss of SFT."""
    training, validation = read_curve(run / "rollouts"), read_curve(run / "validation")
    losses = read_losses(run / "metrics")
    if not training and not validation and not losses:
        raise InputError(
            f"{run}: neither rollouts/*.trajectories.jsonl nor metrics/*.jsonl; is this a run folder, and has a step "
            "ended?"
        )
    tables = {
        "training rollouts (sampled)": training,
        "validation (greedy)": validation,
        "supervised fine-tuning": losses,
    }
    console = Console()
    for title, curve in tables.items():
        if curve:
            console.print(table(title, curve))
    png = png or run / "curves.png"
    if losses:
        panels = {"loss": {"training": _of("loss", losses), "validation": _of("validation", losses)}}
    else:
        panels = {
            title: {
                "training (sampled)": _of(name, training),
                "validation (greedy)": _of(name, validation),
            }
            for title, name in (("reward", "reward"), ("rank score", "rank_score"))
        }
    draw(panels, png)
    console.print(f"picture: {png}")


def _of(name: str, curve: Curve) -> dict[int, float]:
    return {step: means[name] for step, means in curve.items() if name in means}


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run_app(app, "curves")
