"""``drag tune``: find the threshold at which a policy makes a wanted number of searches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.cli.progress import episode_bar
from drag_rl.cli.rollout_options import Concurrency, Limit, plays_a_policy
from drag_rl.evaluation.tune import Tuning, tried_table
from drag_rl.policies.source import PolicyOptions
from drag_rl.star.collection import Collection


@plays_a_policy(sampling="greedy")
def tune(
    *,
    questions: Annotated[
        Path, typer.Option(help="Validation questions made by `drag data`: a .parquet file, not the test's.")
    ],
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    searches: Annotated[float, typer.Option(help="The mean number of searches to come to.")],
    output: Annotated[
        Path,
        typer.Option(
            help="The file to write, NAME.json, which --policy-options takes; episodes go to NAME.tuning/."
        ),
    ],
    policy: PolicyOptions,
    concurrency: Concurrency = 16,
    limit: Limit = 0,
    episode: EpisodeSettings = None,
    tolerance: Annotated[float, typer.Option(min=0.0, help="A mean as near as this will do.")] = 0.05,
    runs: Annotated[int, typer.Option(min=2, help="Values that are played, at most.")] = 10,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Play the failed episodes again.")
    ] = False,
) -> None:
    """Find the threshold at which a policy makes a wanted number of searches, on average.

    Policies that stop of themselves compare fairly at one mean number of searches only. A rule that only stops
    needs one run; where the threshold decides what is searched, values are tried by bisection. Killed and started
    again it goes on.
    """
    tuning = Tuning(
        output=output,
        searches=searches,
        tolerance=tolerance,
        runs=runs,
        collection=Collection(
            questions=questions,
            index=index,
            out=output.with_suffix(".tuning"),
            policy=policy,
            concurrency=concurrency,
            limit=limit,
            episode=episode_config(episode),
            retry_errors=retry_errors,
        ),
    )
    with episode_bar() as progress:
        tuned = tuning.run(progress)
    say = Console(soft_wrap=True, highlight=False)
    say.print(tried_table(tuned), markup=False)
    say.print(f"use it: --policy {tuned.policy} --policy-options {output}", markup=False)
