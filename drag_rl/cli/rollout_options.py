"""What the commands ask for that play episodes: ``drag collect``, ``drag evaluate`` and whatever asks a searcher."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from drag_rl.cli.option_groups import Returned, expands
from drag_rl.cli.options import settings_of
from drag_rl.errors import InputError
from drag_rl.policies.server.sampling import SAMPLINGS
from drag_rl.policies.source import Dialect, PolicyOptions
from drag_rl.policies.table import POLICIES
from drag_rl.protocol import MAX_PIXELS, MESSAGE_TIMEOUT_S, MESSAGE_TOKENS
from drag_rl.serving.served_model import ModelChoice

PolicyName = Annotated[
    str, typer.Option(metavar="NAME", help=f"Who plays: {POLICIES.listed()} (docs/extend.md adds others).")
]
SamplingName = Annotated[
    str, typer.Option(metavar="NAME", help=f"How a model's words are drawn: {SAMPLINGS.listed()}.")
]
ModelName = Annotated[
    str | None, typer.Option(help="The model's name at the server; its folder's name with --model-path.")
]
BaseUrl = Annotated[
    str | None, typer.Option(help="A running server: http://localhost:8000/v1; its key: OPENAI_API_KEY.")
]
ModelPath = Annotated[
    str | None, typer.Option(help="Folder or hub id of a model to serve with vLLM while this runs.")
]
AdapterChoice = Annotated[
    str | None, typer.Option(metavar="NAME=PATH", help="LoRA adapter to use with --model-path.")
]
VllmOptions = Annotated[
    str, typer.Option(help="More options for that vLLM, in quotes: '--max-model-len 8192'.")
]
ServerDialect = Annotated[
    Dialect, typer.Option(help="openai sends only fields of OpenAI's own API, vllm also those of vLLM.")
]
Seed = Annotated[int, typer.Option(help="Another seed gives other samples.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Episodes played at a time.")]
Limit = Annotated[int, typer.Option(min=0, help="Only so many questions, the first; 0 for all.")]
IncludeJson = Annotated[
    list[Path] | None,
    typer.Option(
        help='Only the questions that this file names: {"items": [{"question_id": ...}]} or a list of objects with an '
        "id; repeatable."
    ),
]
ExcludeJson = Annotated[
    list[Path] | None, typer.Option(help="Without the questions that such a file names; repeatable.")
]
MaxTokens = Annotated[int, typer.Option(min=1, help="Tokens of one message, at most.")]
PagesFolder = Annotated[
    Path | None, typer.Option(help="Pages that the index was made from; needed to show page images.")
]
MaxPixels = Annotated[int, typer.Option(min=1024, help="Pixels of a page image, at most.")]


def _finite(seconds: float) -> float:
    """``inf`` would wait for ever."""
    if not math.isfinite(seconds):
        raise InputError(f"--timeout-s {seconds}: give a number of seconds")
    return seconds


TimeoutS = Annotated[
    float,
    typer.Option(min=0.1, callback=_finite, help="Seconds for a message, to its last byte; each attempt."),
]
Retries = Annotated[int, typer.Option(min=0, help="Further attempts at a message, after growing pauses.")]
Consensus = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="Draw each message N times and search the queries, and the question as often, together; "
        "needs a --sampling that draws.",
    ),
]


PolicySettings = Annotated[
    list[str] | None,
    typer.Option(
        "--policy-options",
        metavar="KEY=VALUE|FILE",
        help="A setting of the policy's own, such as threshold=0.4, or a file of them: YAML, or what `drag tune` "
        "wrote; repeat it. docs/baselines.md lists them.",
    ),
]


def policy_options(
    policy: PolicyName = "model",
    policy_settings: PolicySettings = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    model_path: ModelPath = None,
    adapter: AdapterChoice = None,
    vllm_options: VllmOptions = "",
    server: ServerDialect = "vllm",
    sampling: SamplingName = "default",
    consensus: Consensus = 1,
    seed: Seed = 0,
    max_tokens: MaxTokens = MESSAGE_TOKENS,
    pages: PagesFolder = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    timeout_s: TimeoutS = MESSAGE_TIMEOUT_S,
    retries: Retries = 6,
) -> PolicyOptions:
    """What a command line says of a policy; see :func:`plays_a_policy`."""
    return PolicyOptions(
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
        consensus=consensus,
        settings=settings_of(policy_settings, "--policy-options", "threshold: 0.4"),
    )


def plays_a_policy(*, sampling: str) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """Give a command the options of :func:`policy_options` in place of its argument ``policy``, which gets their value.

    ``sampling`` is the command's default for ``--sampling``.
    """
    return expands("policy", policy_options, {"sampling": sampling})
