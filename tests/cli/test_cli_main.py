"""The console command: light to import, one line for the user's mistakes."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
import typer

from drag_rl import __version__
from drag_rl.cli.main import COMMANDS, main
from drag_rl.console import run_app
from drag_rl.errors import InputError

HEAVY = [
    "torch",
    "vllm",
    "ray",
    "verl",
    "transformers",
    "pymupdf",
    "pandas",
    "pyarrow",
    "numpy",
    "matplotlib",
]


def exit_code(run, *arguments):
    with pytest.raises(SystemExit) as exit_:
        run(*arguments)
    return exit_.value.code


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom drag_rl.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as exit_:\n    assert exit_.code == 0\n"
        f"loaded = set({HEAVY!r}) & set(sys.modules)\nassert not loaded, loaded\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name in COMMANDS:
        assert name in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_exists_and_has_help(name, capsys):
    assert callable(getattr(import_module(f"drag_rl.cli.{name}"), name))
    assert exit_code(main, [name, "--help"]) == 0
    assert name in capsys.readouterr().out


def test_version(capsys):
    assert exit_code(main, ["--version"]) == 0
    assert capsys.readouterr().out == f"drag-rl {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["--no-such-option"], ["no-such-command"], ["--debug", "no-such-command"]]
)
def test_bad_usage_exits_with_2(arguments, capsys):
    assert exit_code(main, arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def app_that_raises(error):
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail(words: list[str] = typer.Argument(default=None)):  # noqa: ARG001, B008
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("a.pdf: bad\nand long"), 2, "tool: a.pdf: bad and long\n"),
        (PermissionError(13, "Permission denied", "out"), 2, "tool: out: Permission denied\n"),
        (FileExistsError(17, "File exists", "out"), 2, "tool: out: is a file, where a folder is needed\n"),
        (KeyboardInterrupt(), 130, None),
    ],
)
def test_an_error_is_one_line(error, code, message, capsys):
    assert exit_code(run_app, app_that_raises(error), "tool", []) == code
    written = capsys.readouterr().err
    assert "Traceback" not in written
    assert message is None or written == message


@pytest.mark.parametrize("arguments", [["--debug", "x"], ["x", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(arguments):
    with pytest.raises(InputError):
        run_app(app_that_raises(InputError("bad")), "tool", arguments)


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_app(app_that_raises(ZeroDivisionError()), "tool", [])
