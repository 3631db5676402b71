"""``drag collect``: play questions against a model's server and keep every trajectory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.cli.progress import episode_bar
from drag_rl.cli.rollout_options import Concurrency, ExcludeJson, IncludeJson, Limit, plays_a_policy
from drag_rl.files.outputs import refuse_overlap
from drag_rl.policies.source import PolicyOptions
from drag_rl.question_ids import EXCLUDE, INCLUDE, QuestionIds
from drag_rl.star import rationalise
from drag_rl.star.collection import Collected, Collection


@plays_a_policy(sampling="default")
def collect(
    *,
    questions: Annotated[Path, typer.Option(help="Questions made by `drag data`: a .parquet file.")],
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    out: Annotated[Path, typer.Option(help="The JSONL file to write, or to go on with.")],
    policy: PolicyOptions,
    samples: Annotated[int, typer.Option(min=1, help="Episodes of each question.")] = 1,
    concurrency: Concurrency = 16,
    include_json: IncludeJson = None,
    exclude_json: ExcludeJson = None,
    limit: Limit = 0,
    episode: EpisodeSettings = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Play the failed episodes of --out again.")
    ] = False,
    hint_failures: Annotated[
        list[Path] | None,
        typer.Option(
            help="Trajectories: questions that they never solved are played with the gold page shown, and kept where "
            "a query then finds it (rationalisation); repeatable."
        ),
    ] = None,
) -> None:
    """Let a policy play questions and keep every trajectory, one line each.

    Killed at any moment and started again it goes on where it was. A server that is gone ends it with exit code 2.
    """
    refuse_overlap(
        {"--out": out},
        {
            "--questions": questions,
            "--index": index,
            "--pages": policy.pages,
            "--hint-failures": hint_failures,
            INCLUDE: include_json,
            EXCLUDE: exclude_json,
        },
    )
    collection = Collection(
        questions=questions,
        index=index,
        out=out,
        policy=policy,
        samples=samples,
        concurrency=concurrency,
        named=QuestionIds(include=tuple(include_json or ()), exclude=tuple(exclude_json or ())),
        limit=limit,
        episode=episode_config(episode),
        retry_errors=retry_errors,
        hint_failures=tuple(hint_failures or ()),
    )
    with episode_bar() as progress:
        collected = collection.run(progress)
    _report(collected, out)


def _report(collected: Collected, out: Path) -> None:
    say = Console(soft_wrap=True, highlight=False)
    if not collected.run.episodes:
        say.print(f"{out}: nothing left to play.", markup=False)
    else:
        say.print(collected.run.paragraph(collected.seconds), markup=False)
    if collected.verdicts:
        say.print(rationalise.report(collected.verdicts), markup=False)
    whole = collected.file
    say.print(f"{out}: {whole.episodes} rows, {whole.solved} solved, {whole.errors} errors.", markup=False)
    if whole.errors:
        say.print("Play the failed ones again with --retry-errors.", markup=False)
