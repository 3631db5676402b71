"""``drag doctor``: what is wrong with a set-up, before any training."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.doctor.checks import examine_environment, examine_parts


def doctor(
    index: Annotated[Path | None, typer.Option(help="Index made by `drag index`.")] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Questions made by `drag data`: a .parquet file.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Path or hub id of the model to train.")] = None,
    episode: EpisodeSettings = None,
) -> None:
    """Check environment, index, questions, reward and model; exit code 2 when something is wrong."""
    config = episode_config(episode)
    console = Console(soft_wrap=True)
    wrong = 0
    for check in chain(examine_environment(), examine_parts(index, questions, model, config)):
        wrong += not check.ok
        console.print(
            Text("ok    " if check.ok else "WRONG ", style="green" if check.ok else "bold red"), end=""
        )
        console.print(Text(f"{check.name}: {check.detail}"))
    if wrong:
        raise typer.Exit(2)
