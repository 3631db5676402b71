"""``drag doctor``: what is wrong with a set-up, before any training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.doctor.check import Check, Status
from drag_rl.doctor.examine import examine_environment, examine_parts
from drag_rl.doctor.setup import SetUp, of_training

DEFAULT_CONFIG = "grpo"
STYLES: dict[Status, str] = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


def doctor(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Options of the training, as on its command line: "
            "reward.custom_reward_function.reward_kwargs.weights.format=0.1.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[Path | None, typer.Option(help="Index made by `drag index`.")] = None,
    pages: Annotated[
        Path | None, typer.Option(help="Pages that the index was made from: they must not have changed.")
    ] = None,
    questions: Annotated[
        list[Path] | None,
        typer.Option(
            help="Questions made by `drag data`: a .parquet file, or a folder of questions.{train,val,test}.parquet; "
            "repeatable, the training's first."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Path or hub id of the model to train.")] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.yaml",
            help="The training's configuration: grpo, ppo or a YAML file; with KEY=VALUE, grpo without it.",
        ),
    ] = None,
    episode: EpisodeSettings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check environment, index, questions, searches, reward and model before any training.

    With --questions alone, or with --pages, it checks data: each row, what two files share, and whether the pages hold
    the answers. Each line is ok, warn or fail, with what to do. Exit code 2 when one is fail: the training would not
    run, or learn nothing, or what is measured would mean nothing. With KEY=VALUE or --config, episode and reward are
    those of that training, and so are index, pages, questions and model, unless options here name others.
    """
    set_up = SetUp()
    if config or overrides:
        set_up = of_training(config or DEFAULT_CONFIG, [*_index_first(index), *(overrides or ())])
    set_up = replace(
        set_up,
        index=index or set_up.index,
        pages=pages or set_up.pages,
        questions=tuple(questions or set_up.questions),
        model=model or set_up.model,
        episode=episode_config(episode, set_up.episode),
    )
    checks = []
    only_data = bool(set_up.questions) and not (set_up.index or set_up.model)
    for check in chain(() if only_data else examine_environment(), examine_parts(set_up)):
        checks.append(check)
        if not as_json:
            _print(check)
    if as_json:
        typer.echo(_json(checks))
    if not all(check.ok for check in checks):
        raise typer.Exit(2)


def _index_first(index: Path | None) -> list[str]:
    """The override for an index that an option names: without any, the configuration would be refused."""
    from drag_rl.training.launch.overrides import override

    return [override("drag.index", str(index))] if index else []


def _print(check: Check) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(Text(f"{check.status:6}", style=STYLES[check.status]), end="")
    console.print(Text(f"{check.name}: {check.detail}"))


def _json(checks: Sequence[Check]) -> str:
    """The checks in order, and the worst status of all."""
    worst = max((check.status for check in checks), key=list(STYLES).index, default="ok")
    rows = {"status": worst, "checks": [asdict(check) for check in checks]}
    return json.dumps(rows, indent=1, ensure_ascii=False)
