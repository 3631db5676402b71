"""Ctrl-C ends a command of ours with one line, also while its modules are still being imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PurePath
from types import TracebackType

EXIT_INTERRUPTED = 130
PACKAGES = ("drag_rl.", "data_preprocess.")


def is_ours(command_line: Sequence[str]) -> bool:
    """Whether a command line, Python's own options included, is ``drag`` or ``python -m`` with a module of ours.

    >>> is_ours(["python", "/venv/bin/drag", "search"]), is_ours(["python", "-m", "drag_rl.training.export"])
    (True, True)
    >>> is_ours(["python", "-m", "verl.trainer.main_ppo"]), is_ours(["python", "-c", "import drag_rl"])
    (False, False)
    """
    words = list(command_line[1:])
    if words and PurePath(words[0]).name == "drag":
        return True
    return "-m" in words and "".join(words[words.index("-m") + 1 :][:1]).startswith(PACKAGES)


def install() -> None:
    """Have a KeyboardInterrupt that nobody caught end the process with one line and status 130.

    Clean-up code has run by then; other exceptions are shown as usual.
    """
    shown = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            shown(kind, error, traceback)
            return
        sys.stderr.write("interrupted\n")
        raise SystemExit(EXIT_INTERRUPTED)

    sys.excepthook = end
