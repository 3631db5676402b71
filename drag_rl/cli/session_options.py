"""What the commands ask for that ask a searcher: ``drag ask``, ``drag agent`` and ``drag mcp``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from drag_rl.cli.generator_options import may_ask_a_generator
from drag_rl.cli.option_groups import expands
from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.cli.rollout_options import plays_a_policy
from drag_rl.cli.searcher_option import SearcherName, with_searcher
from drag_rl.handoff.options import GeneratorOptions, SessionOptions
from drag_rl.policies.source import PolicyOptions


@may_ask_a_generator
@plays_a_policy(sampling="greedy")
def session_options(
    *,
    index: Annotated[Path, typer.Option(help="Index made by `drag index`.")],
    searcher: SearcherName = None,
    policy: PolicyOptions,
    generator: GeneratorOptions | None,
    episode: EpisodeSettings = None,
) -> SessionOptions:
    """What a command line says of a searcher, its index, and a generator; see :func:`asks_a_searcher`."""
    return SessionOptions(
        index=index,
        policy=with_searcher(searcher, policy),
        generator=replace(generator, pages=policy.pages) if generator else None,
        episode=episode_config(episode),
    )


def asks_a_searcher(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :func:`session_options` in place of its argument ``session``."""
    return expands("session", session_options)(command)
