"""What the commands ask for that play episodes: ``drag collect`` and ``drag evaluate``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from drag_rl.errors import InputError
from drag_rl.policies.server.sampling import SAMPLINGS
from drag_rl.policies.source import Dialect
from drag_rl.policies.table import POLICIES

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
