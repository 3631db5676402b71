"""``drag evaluate``: measure a policy on questions: a model, a baseline, an oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.cli.progress import episode_bar
from drag_rl.cli.rollout_options import (
    AdapterChoice,
    BaseUrl,
    Concurrency,
    Limit,
    MaxPixels,
    MaxTokens,
    ModelName,
    ModelPath,
    PagesFolder,
    PolicyName,
    Retries,
    SamplingName,
    Seed,
    ServerDialect,
    TimeoutS,
    VllmOptions,
)
from drag_rl.evaluation.evaluate import Evaluation, trajectories_path
from drag_rl.evaluation.report import results_table
from drag_rl.policies.source import PolicyOptions
from drag_rl.protocol import MAX_PIXELS, MESSAGE_TIMEOUT_S, MESSAGE_TOKENS
from drag_rl.serving.served_model import ModelChoice
from drag_rl.star.collection import Collection


def evaluate(
    questions: Annotated[Path, typer.Option(help="Questions made by `drag data`: a .parquet file.")],
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    output: Annotated[
        Path, typer.Option(help="The results' file, NAME.json; trajectories go to NAME.trajectories.jsonl.")
    ],
    policy: PolicyName = "model",
    model: ModelName = None,
    base_url: BaseUrl = None,
    model_path: ModelPath = None,
    adapter: AdapterChoice = None,
    vllm_options: VllmOptions = "",
    server: ServerDialect = "vllm",
    sampling: SamplingName = "greedy",
    samples: Annotated[int, typer.Option(min=1, help="Episodes of each question; their mean counts.")] = 1,
    seed: Seed = 0,
    concurrency: Concurrency = 16,
    limit: Limit = 0,
    episode: EpisodeSettings = None,
    max_tokens: MaxTokens = MESSAGE_TOKENS,
    pages: PagesFolder = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    timeout_s: TimeoutS = MESSAGE_TIMEOUT_S,
    retries: Retries = 6,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Play the failed episodes again; else they score 0.")
    ] = False,
    trec: Annotated[
        Path | None, typer.Option(help="Folder for TREC run and qrels files (ir_measures reads them).")
    ] = None,
) -> None:
    """Measure how well a policy finds pages: the same episode as in training, 95 % intervals, one JSON file.

    Killed at any moment and started again it goes on where it was. Compare results with `drag compare`.
    """
    evaluation = Evaluation(
        output=output,
        trec=trec,
        collection=Collection(
            questions=questions,
            index=index,
            out=trajectories_path(output),
            policy=PolicyOptions(
                name=policy,
                model=ModelChoice(
                    model=model,
                    base_url=base_url,
                    model_path=model_path,
                    adapter=adapter,
                    vllm_options=vllm_options,
                ),
                dialect=server,
                sampling=sampling,
                seed=seed,
                max_tokens=max_tokens,
                pages=pages,
                max_pixels=max_pixels,
                timeout_s=timeout_s,
                retries=retries,
            ),
            samples=samples,
            concurrency=concurrency,
            limit=limit,
            episode=episode_config(episode),
            retry_errors=retry_errors,
        ),
    )
    with episode_bar() as progress:
        results = evaluation.run(progress)
    say = Console(soft_wrap=True, highlight=False)
    say.print(results_table(results), markup=False)
    say.print(f"results: {output}", markup=False, soft_wrap=True)
