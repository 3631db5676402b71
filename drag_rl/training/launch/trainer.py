"""Runs a trainer: what it says goes to the terminal and to the run's log, and the user's mistake is said last."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from drag_rl.errors import InputError


class TrainerFailedError(Exception):
    """A trainer ended with an error that is not the user's mistake; the message says where its log is."""


_MISTAKE = re.compile(rb"^(?:.*drag_rl\.errors\.InputError|dpo|retriever|drag-rl): (.*)$", re.MULTILINE)
"""How an InputError stands in a trainer's log: in a traceback, or said by our own trainers or our check of options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A trainer to start."""

    run: Path
    """Folder of the run."""
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is added to this process's environment."""
    notes: Sequence[str] = ()
    """What the user should know, one line each."""


def run_trainer(launch: Launch) -> None:
    """Run it to its end; a run that is started again appends to its log, ``RUN/train.log``.

    Raises InputError with the trainer's own words if the user can mend what stopped it, else TrainerFailedError.
    """
    (launch.run / "command.txt").write_text(shlex.join(launch.command) + "\n", encoding="utf-8")
    for note in launch.notes:
        print(f"[launch] {note}", flush=True)  # noqa: T201 (a script's own output)
    log = launch.run / "train.log"
    with log.open("ab") as file:
        start = file.tell()
        code = _run(launch, file.fileno())
    if code:
        with log.open("rb") as written:
            written.seek(start)
            said = _MISTAKE.findall(written.read())
        if said:
            raise InputError(said[-1].decode(errors="replace").strip())
        raise TrainerFailedError(f"the trainer has failed, see {log}")


def _run(launch: Launch, log: int) -> int:
    process = subprocess.Popen(
        launch.command,
        env=os.environ | launch.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    # Ctrl-C reaches the trainer from the terminal; a request to end is handed on.
    before = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    try:
        assert process.stdout is not None
        output: int | None = sys.stdout.fileno()
        while chunk := os.read(process.stdout.fileno(), 1 << 16):
            os.write(log, chunk)
            if output is not None:
                try:
                    os.write(output, chunk)
                except BrokenPipeError:  # nobody reads any more: the training goes on, and its log too
                    output = None
        return process.wait()
    except KeyboardInterrupt:
        with suppress(KeyboardInterrupt):
            process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
