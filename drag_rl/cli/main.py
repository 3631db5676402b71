"""The console command ``drag``: a table of subcommands, each in its own module, imported only when called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from drag_rl import __version__
from drag_rl.console import run_app, split_debug

COMMANDS: dict[str, str] = {
    "data": "Make data: sample documents, questions, conversions of public data sets.",
    "ingest": "Read a folder of PDFs, or an OCR file, into a folder of pages.",
    "index": "Make pages searchable.",
    "search": "Ask an index by hand.",
    "ask": "Ask one question: search, then an answer that cites its pages.",
    "agent": "Serve a searcher as one model behind OpenAI's chat API.",
    "mcp": "Offer an index and a searcher as tools to other agents.",
    "doctor": "Check a set-up before any training.",
    "serve": "Let other programs search an index by HTTP.",
    "filter": "Keep the trajectories that are worth learning from.",
    "format": "Write trajectories as training data.",
    "score": "Score trajectories again: rewards, and how much they can teach.",
    "view": "Write a report of trajectories as one HTML file.",
    "collect": "Let a policy play questions and keep every trajectory.",
    "evaluate": "Measure a policy on questions: a model, a baseline, an oracle.",
    "compare": "Say whether results are better than a base, metric by metric.",
    "tune": "Find the threshold at which a policy makes a wanted number of searches.",
    "merge": "Fold a LoRA adapter into its base model.",
}
"""Subcommand -> its line in ``drag --help``.

``drag_rl/cli/<name>.py`` has the function of the same name, or the Typer app with subcommands of its own.
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``drag``; exits with 0, 2 for bad usage or input, or 130 for Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _, words = split_debug(arguments)
    called = next((word for word in words if not word.startswith("-")), None)
    run_app(build_app(called), "drag", arguments)


def build_app(called: str | None) -> typer.Typer:
    """The Typer app, with the module of subcommand ``called`` imported, the others known by name."""
    app = typer.Typer(
        help="Teach a vision-language model to search documents.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, help_line in COMMANDS.items():
        command = _load(name) if name == called else _not_called
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, short_help=help_line)
        else:
            app.command(name, short_help=help_line)(command)
    return app


def _load(name: str) -> Callable[..., Any] | typer.Typer:
    command: Callable[..., Any] | typer.Typer = getattr(import_module(f"drag_rl.cli.{name}"), name)
    return command


def _not_called() -> None:
    """Stand in for a subcommand that this command line does not call."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"drag-rl {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; accepted anywhere.")] = False,
) -> None:
    """Options before the subcommand; ``--debug`` is here for the help only, ``run_app`` takes it."""


if __name__ == "__main__":
    main()
