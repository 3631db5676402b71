"""Run a command so that a user's mistake ends in one line and an exit code, never in a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import typer
from rich.console import Console

from drag_rl.errors import InputError
from drag_rl.interrupt import EXIT_INTERRUPTED

EXIT_BAD_INPUT = 2
PLAIN_WIDTH = 200
"""Characters of a line where no terminal sets a limit: enough for every table, so that none is cut."""


def table_console() -> Console:
    """Where tables and their lines are printed: as wide as the terminal, and uncut in a pipe or a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def run_app(app: typer.Typer, name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a Typer app as the command ``name`` and exit: 0, 2 for bad usage or input, 130 for Ctrl-C.

    ``--debug``, anywhere before a ``--``, lets tracebacks through. ``arguments`` default to the
    command line's.
    """
    debug, arguments = split_debug(sys.argv[1:] if arguments is None else arguments)
    try:
        app(arguments, prog_name=name)
    except (InputError, OSError) as error:
        if debug:
            raise
        message = f"{name}: {_line_of(error)}"
        sys.stderr.write(f"{message}\n")
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as end:
        if (
            end.code == EXIT_INTERRUPTED
        ):  # what newer versions of Typer make of a KeyboardInterrupt, without a word
            sys.stderr.write(f"{name}: interrupted\n")
        raise
    sys.exit(0)


def split_debug(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether ``--debug`` was given, and the command line without it.

    >>> split_debug(["search", "--debug", "--", "--debug"])
    (True, ['search', '--', '--debug'])
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, rest = list(arguments[:end]), list(arguments[end:])
    return "--debug" in options, [option for option in options if option != "--debug"] + rest


def _line_of(error: InputError | OSError) -> str:
    if isinstance(error, FileExistsError):  # mkdir's way of saying it
        return f"{error.filename}: is a file, where a folder is needed"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
