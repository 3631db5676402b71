"""What the commands ask for that have a generator answer: ``drag ask``, ``drag evaluate`` and our servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from drag_rl.cli.option_groups import Returned, expands
from drag_rl.errors import InputError
from drag_rl.handoff.choosing import PageBudget, Shown
from drag_rl.handoff.options import GeneratorOptions
from drag_rl.protocol import MESSAGE_TIMEOUT_S, MESSAGE_TOKENS

Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="An OpenAI-compatible server whose model answers from the pages found: http://localhost:8001/v1; its key: "
        "GENERATOR_API_KEY, else OPENAI_API_KEY.",
    ),
]
Model = Annotated[str, typer.Option(metavar="NAME", help="The generator's name at its server.")]
PageTokens = Annotated[
    int, typer.Option(min=128, help="Tokens of pages that the generator is given, at most (estimated).")
]
MaxPages = Annotated[
    int, typer.Option(min=0, help="Pages that the generator is given, at most; 0: as many as fit.")
]
ShownPages = Annotated[
    Shown, typer.Option(help="What the generator is given of a page; images need --pages.")
]
MaxTokens = Annotated[int, typer.Option(min=1, help="Tokens of its answer, at most, its thought included.")]
TimeoutS = Annotated[float, typer.Option(min=0.1, help="Seconds for its answer; each attempt.")]


def generator_options(
    generator: Url = None,
    generator_model: Model = "",
    generator_page_tokens: PageTokens = 4096,
    generator_max_pages: MaxPages = 0,
    generator_shown: ShownPages = "text",
    generator_max_tokens: MaxTokens = MESSAGE_TOKENS,
    generator_timeout_s: TimeoutS = MESSAGE_TIMEOUT_S,
) -> GeneratorOptions | None:
    """What a command line says of a generator; None where it names none."""
    if generator is None:
        if generator_model:
            raise InputError("--generator-model needs --generator, the address of its server")
        return None
    return GeneratorOptions(
        url=generator,
        model=generator_model,
        budget=PageBudget(tokens=generator_page_tokens, pages=generator_max_pages, shown=generator_shown),
        max_tokens=generator_max_tokens,
        timeout_s=generator_timeout_s,
    )


def may_ask_a_generator(command: Callable[..., Returned]) -> Callable[..., Returned]:
    """Give a command the options of :func:`generator_options` in place of its argument ``generator``."""
    return expands("generator", generator_options)(command)
