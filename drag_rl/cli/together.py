"""Several commands of ``drag`` in one process, in turn: those that serve the same model share one vLLM.

    python -m drag_rl.cli.together evaluate ... --then collect ... --then collect ...

``scripts/star.sh`` measures, collects and rationalises so: a model is loaded once a round. A command that fails ends
them all with its exit code. No vLLM is started where no command has anything left to play.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from drag_rl.cli.main import main
from drag_rl.serving.served_model import shared_server

THEN = "--then"


def commands(words: Sequence[str]) -> Iterator[list[str]]:
    """The command lines between ``--then``.

    >>> list(commands(["evaluate", "--limit", "3", "--then", "collect"]))
    [['evaluate', '--limit', '3'], ['collect']]
    """
    command: list[str] = []
    for word in words:
        if word == THEN:
            yield command
            command = []
        else:
            command.append(word)
    yield command


def run(words: Sequence[str]) -> None:
    """Run the commands; raises SystemExit with the code of one that fails."""
    with shared_server():
        for command in commands(words):
            try:
                main(command)
            except SystemExit as stop:
                if stop.code:
                    raise


if __name__ == "__main__":
    run(sys.argv[1:])
