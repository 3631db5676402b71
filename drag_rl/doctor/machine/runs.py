"""Programs that a check starts: bounded in time, their memory watched, ended with all that they have started."""

from __future__ import annotations

import math
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
_STEP = re.compile(r"\bstep:(\d+) - (.*)")
_METRIC = re.compile(r"(?<![^\s:])([^\s:]+):(?:np\.\w+\()?([-+.\deE]+|nan|inf)\)?(?= - |$)")
_RAISED = re.compile(
    r"(?:\S*\([^()]{0,60}\)\S* )?[A-Za-z_.]{1,100}(?:Error|Exception|Exit)(?:\([^()]{0,60}\))?: "
)
_REASON = re.compile(r"out of memory|Killed|Error")


class StageError(Exception):
    """A stage did not do what it should; the message is its cause, one line."""


@dataclass
class Peak:
    """The most memory that was seen, GiB."""

    gpu: float = 0.0
    """Of one GPU, by nvidia-smi: all programs on it."""
    host: float = 0.0
    """Resident, of the program and all that it has started."""


class Program:
    """A running program whose output goes to a log."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log, self.peak = log, Peak()
        self._start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=self._watch, daemon=True).start()

    def said(self) -> str:
        """Its output so far."""
        with self.log.open("rb") as file:
            file.seek(self._start)
            return file.read().decode(errors="replace")

    def wait(self, limit_s: float) -> None:
        """Wait for its end. Raises StageError when it fails or takes longer."""
        self.wait_for(lambda: False, limit_s)

    def wait_for(self, happened: Callable[[], object], limit_s: float) -> None:
        """Wait until something has happened, or for a good end. Raises StageError when it fails or takes longer."""
        deadline = time.monotonic() + limit_s
        while not happened():
            code = self.process.poll()
            if code == 0:
                return
            if code is not None:
                raise StageError(f"ended with code {code}: {cause(self.said())} (log: {self.log})")
            if time.monotonic() > deadline:
                raise StageError(f"not done after {limit_s:.0f} s: {cause(self.said())} (log: {self.log})")
            time.sleep(0.2)

    def kill(self) -> None:
        """End it as a power cut would, with all that it has started."""
        family = self._family()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=5)  # what they held is free before another program starts

    def _family(self) -> list[psutil.Process]:
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _watch(self) -> None:
        while self.process.poll() is None:
            used = 0
            for process in self._family():
                with suppress(psutil.Error):
                    used += process.memory_info().rss
            self.peak.host = max(self.peak.host, used / 2**30)
            self.peak.gpu = max(self.peak.gpu, _gpu_memory())
            time.sleep(2)


@contextmanager
def running(command: Sequence[str], log: Path, **environment: str) -> Iterator[Program]:
    """A program that is killed, if it still runs, at the end of the block."""
    program = Program(command, log, environment)
    try:
        yield program
    finally:
        program.kill()


def script(name: str, *options: str) -> list[str]:
    """The command of one of our scripts."""
    return ["bash", str(SCRIPTS / name), *options]


def metrics(log: str) -> dict[int, dict[str, float]]:
    """What verl's console lines say of each step.

    >>> metrics("(pid=1) step:2 - actor/lr:1e-06 - a/max:np.float64(0.5) - b:nan")
    {2: {'actor/lr': 1e-06, 'a/max': 0.5, 'b': nan}}
    """
    found: dict[int, dict[str, float]] = {}
    for line in log.splitlines():
        step = _STEP.search(line)
        if step:
            values = {name: float(value) for name, value in _METRIC.findall(step[2])}
            found.setdefault(int(step[1]), {}).update(values)
    return found


def cause(log: str) -> str:
    """The line of a log that says best why a program ended, shortened.

    >>> cause("Traceback\\n  File\\ntorch.OutOfMemoryError: CUDA out of memory.\\nbye")
    'torch.OutOfMemoryError: CUDA out of memory.'
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    lines = [line for line in lines if "the trainer has failed" not in line] or lines
    ours = [line for line in lines if re.match(r"(run_\w+|serve_vllm|drag \w+|export): ", line)]
    raised = [line for line in lines if _RAISED.match(line)]
    hints = [line for line in lines if _REASON.search(line)]
    return (ours or raised or hints or lines or ["it said nothing"])[-1][:300]


def mean(values: Sequence[float]) -> float:
    """Their mean; nan of none."""
    return math.fsum(values) / len(values) if values else math.nan


def _gpu_memory() -> float:
    """GiB in use on the fullest GPU; 0 without nvidia-smi."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0.0
    return max((int(line) / 1024 for line in answer.split() if line.isdecimal()), default=0.0)
