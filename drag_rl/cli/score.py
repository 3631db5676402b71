"""``drag score``: what a reward pays to trajectories on disk, and how much GRPO could learn from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.table import Table

from drag_rl.console import table_console
from drag_rl.errors import InputError
from drag_rl.star.scoring import score_files
from reward.rank import Variant
from reward.table import SCORES, RewardConfig

DEFAULTS = RewardConfig()


def score(
    input: Annotated[
        list[Path],
        typer.Option(
            help="Trajectories of `drag collect`, or a run's *.trajectories.jsonl; repeat it for more."
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="JSON lines with the reward and every score of each trajectory.")
    ],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHT",
            help="Weight of a score in the reward; repeat it for more. They replace the default, "
            + " ".join(f"{name}={weight:g}" for name, weight in DEFAULTS.weights.items())
            + f". Scores: {', '.join(SCORES)}.",
        ),
    ] = None,
    variant: Annotated[
        str, typer.Option(help=f"The search that rank scores read: {' or '.join(get_args(Variant))}.")
    ] = DEFAULTS.variant,
    as_json: Annotated[bool, typer.Option("--json", help="Print the statistics as JSON.")] = False,
) -> None:
    """Score trajectories again, without playing them again.

    The table shows, beside the mean, in how many groups all rollouts earn the same: GRPO learns nothing from those.
    """
    options = {"variant": variant} | ({"weights": _weights(weights)} if weights else {})
    count, found = score_files(input, output, RewardConfig.from_mapping(options, "drag score"))
    if as_json:
        statistics = {name: asdict(stats) for name, stats in found.items()}
        typer.echo(json.dumps({"trajectories": count, "scores": statistics}, indent=1))
        return
    table = Table("score", title=f"{count} trajectories")
    for column in ("mean", "std", "groups without variance"):
        table.add_column(column, justify="right")
    for name, stats in found.items():
        flat = "" if stats.zero_variance is None else f"{stats.zero_variance:.1%}"
        table.add_row(name, f"{stats.mean:.3f}", f"{stats.std:.3f}", flat)
    table_console().print(table)


def _weights(settings: Sequence[str]) -> dict[str, float]:
    weights = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            weights[name] = float(value)
        except ValueError:
            raise InputError(f"--weights {setting}: is not NAME=WEIGHT, such as rank_score=0.5") from None
    return weights
