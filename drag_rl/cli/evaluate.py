"""``drag evaluate``: measure a policy on questions: a model, a baseline, an oracle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.cli.generator_options import may_ask_a_generator
from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.cli.progress import episode_bar
from drag_rl.cli.rollout_options import Concurrency, ExcludeJson, IncludeJson, Limit, plays_a_policy
from drag_rl.errors import InputError
from drag_rl.evaluation.answering import Answering, PagesFrom
from drag_rl.evaluation.evaluate import Evaluation, trajectories_path
from drag_rl.evaluation.report import results_table
from drag_rl.handoff.options import GeneratorOptions
from drag_rl.metrics.ranked import FAMILIES, MAX_CUTOFF
from drag_rl.policies.source import PolicyOptions
from drag_rl.question_ids import QuestionIds
from drag_rl.star.collection import Collection


@may_ask_a_generator
@plays_a_policy(sampling="greedy")
def evaluate(
    *,
    questions: Annotated[Path, typer.Option(help="Questions made by `drag data`: a .parquet file.")],
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    output: Annotated[
        Path, typer.Option(help="The results' file, NAME.json; trajectories go to NAME.trajectories.jsonl.")
    ],
    policy: PolicyOptions,
    generator: GeneratorOptions | None,
    generator_pages: Annotated[
        PagesFrom | None,
        typer.Option(help="Where the generator's pages come from: searched by the policy, or a control's."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Episodes of each question; their mean counts.")] = 1,
    concurrency: Concurrency = 16,
    include_json: IncludeJson = None,
    exclude_json: ExcludeJson = None,
    limit: Limit = 0,
    episode: EpisodeSettings = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Play the failed episodes again; else they score 0.")
    ] = False,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME@K",
            help=f"A measure of rankings beside those that are always reported, such as recall@100: "
            f"{', '.join(FAMILIES)} at any cutoff up to {MAX_CUTOFF}; repeat it for more.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every metric that applies; all are in the results' file.")
    ] = False,
    trec: Annotated[
        Path | None, typer.Option(help="Folder for TREC run and qrels files (ir_measures reads them).")
    ] = None,
) -> None:
    """Measure how well a policy finds pages: the same episode as in training, 95 % intervals, one JSON file.

    Killed at any moment and started again it goes on where it was. Compare results with `drag compare`. With
    --generator a larger model answers from the pages found, and its answers are measured too.
    """
    evaluation = Evaluation(
        output=output,
        trec=trec,
        metrics=tuple(metrics or ()),
        answering=_answering(generator, generator_pages, policy.pages),
        collection=Collection(
            questions=questions,
            index=index,
            out=trajectories_path(output),
            policy=policy,
            samples=samples,
            concurrency=concurrency,
            named=QuestionIds(include=tuple(include_json or ()), exclude=tuple(exclude_json or ())),
            limit=limit,
            episode=episode_config(episode),
            retry_errors=retry_errors,
        ),
    )
    with episode_bar() as progress:
        results = evaluation.run(progress)
    say = Console(soft_wrap=True, highlight=False)
    say.print(results_table(results, everything=everything), markup=False)
    say.print(f"results: {output}", markup=False, soft_wrap=True)


def _answering(
    options: GeneratorOptions | None, pages_from: PagesFrom | None, pages: Path | None
) -> Answering | None:
    if options is None:
        if pages_from is not None:
            raise InputError("--generator-pages needs --generator, the address of its server")
        return None
    return Answering(options=replace(options, pages=pages), pages_from=pages_from or "searched")
