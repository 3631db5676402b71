"""The curves of a training run, as a table and a picture.

    python -m drag_rl.training.curves RUN [--png FILE]

reads what the replay buffer of GRPO and PPO wrote, ``RUN/rollouts/*.trajectories.jsonl`` (one file a training step) and
``RUN/validation/*.trajectories.jsonl`` (step 0 is before training), or the losses of an SFT run or a retriever's,
``RUN/metrics/*.jsonl``.

Training batches are other questions in each step, and ``algorithm.filter_groups`` leaves out those that the policy
masters, so their mean need not rise while the policy learns. Validation asks the same questions each time: it is the
curve to believe, and its change since the first time is paired by question.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from drag_rl.console import run_app, table_console
from drag_rl.errors import InputError
from drag_rl.training.dumps import Curve, Rollout, changes, means, read_steps

app = typer.Typer(add_completion=False)

COLUMNS = ("reward", "rank_score", "hit@1", "hit@k", "gold_rank", "format", "searches", "turns")
"""Shown in this order: the reward, then the breakdown's means over a step's trajectories."""

RETRIEVAL = {
    f"val/{name}": label
    for name, label in (
        ("ndcg@5", "nDCG@5"),
        ("mrr", "MRR"),
        ("recall@1", "Recall@1"),
        ("recall@5", "Recall@5"),
        ("recall@10", "Recall@10"),
    )
}
"""Name in the logs of a retriever's training -> heading here."""
LOSSES = {
    "train/loss": "loss",
    "val/loss": "validation",
    "train/grad_norm": "gradient norm",
    "train/lr": "rate",
    **RETRIEVAL,
}
"""Name in the logs of verl's SFT trainer, or of a retriever's -> heading here."""


def read_losses(folder: Path) -> dict[int, dict[str, float]]:
    """The losses of an SFT run by step, or a retriever's and what it finds.

    There is a file for each start; of those that have a step the latest counts.

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
    for step, row in curve.items():
        grid.add_row(str(step), *(f"{row[name]:.4g}" if name in row else "" for name in names))
    return grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve of a picture."""

    label: str
    points: Mapping[int, float]
    """Step -> value of the curve."""
    errors: Mapping[int, float]
    """Step -> half of the interval drawn around the value, where there is one."""
    faint: bool = False
    """Whether it is drawn behind the others, as dots."""


def draw(panels: Mapping[str, list[Line]], png: Path) -> None:
    """A PNG with a panel for each title, which shows those of its lines that have points, and names no others."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, lines) in zip(row, panels.items(), strict=True):
        for line in (line for line in lines if line.points):
            style = {"fmt": ".", "alpha": 0.4} if line.faint else {"fmt": ".-", "capsize": 3}
            errors = [line.errors.get(step, 0.0) for step in line.points]
            axes.errorbar(
                list(line.points),
                list(line.points.values()),
                errors if any(errors) else None,
                label=line.label,
                **style,
            )
        axes.set(title=title, xlabel="step", ylabel="mean")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=120)


@app.command()
def main(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    png: Annotated[Path | None, typer.Option(help="The picture's file.  [default: RUN/curves.png]")] = None,
) -> None:
    """Print the curves of a training run and draw them: reward and rank score by step, or the loss of SFT."""
    training, validation = read_steps(run / "rollouts"), read_steps(run / "validation")
    losses = read_losses(run / "metrics")
    if not training and not validation and not losses:
        raise InputError(
            f"{run}: neither rollouts/*.trajectories.jsonl nor metrics/*.jsonl; is this a run folder, and has a step "
            "ended?"
        )
    asked = _asked(validation)
    tables = {
        "training batches": means(training),
        f"validation: {asked}": means(validation),
        "retriever" if _ranks_pages(losses) else "supervised fine-tuning": losses,
    }
    console = table_console()
    for title, curve in tables.items():
        if curve:
            console.print(table(title, curve))
    for name in ("reward", "rank_score"):
        for step, (change, half) in list(changes(validation, name).items())[-1:]:
            interval = f"[{change - half:+.3f}, {change + half:+.3f}]"
            console.print(
                f"{name} of step {step} to the first, {asked}: {change:+.3f}, 95 % {interval}", markup=False
            )
    if losses:
        panels = {
            "loss": [
                Line(label=label, points=_of(name, losses), errors={})
                for label, name in (("training", "loss"), ("validation", "validation"))
            ]
        }
        if _ranks_pages(losses):
            panels["pages found for validation questions"] = [
                Line(label=label, points=_of(label, losses), errors={}) for label in RETRIEVAL.values()
            ]
    else:
        panels = {
            title: [
                Line(
                    label=f"{asked}\n(bars: 95 % of the change)",
                    points=_of(name, means(validation)),
                    errors={step: half for step, (_, half) in changes(validation, name).items()},
                ),
                Line(
                    label="training batches, other questions each",
                    points=_of(name, means(training)),
                    errors={},
                    faint=bool(validation),
                ),
            ]
            for title, name in (("reward", "reward"), ("rank score", "rank_score"))
        }
    png = png or run / "curves.png"
    draw(panels, png)
    console.print(f"picture: {png}", markup=False, soft_wrap=True)


def _ranks_pages(losses: Curve) -> bool:
    """Whether the losses are those of a retriever."""
    return any(label in row for row in losses.values() for label in RETRIEVAL.values())


def _asked(validation: Mapping[int, list[Rollout]]) -> str:
    """The questions of a validation, in words."""
    if not validation:
        return ""
    rollouts = next(iter(validation.values()))
    questions = len({rollout.question_id for rollout in rollouts})
    samples = round(len(rollouts) / questions)
    return f"the same {questions} questions" + (f", {samples} samples each" if samples > 1 else "")


def _of(name: str, curve: Curve) -> dict[int, float]:
    return {step: row[name] for step, row in curve.items() if name in row}


if __name__ == "__main__":
    run_app(app, "curves")
