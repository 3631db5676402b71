"""Rendering within limits of time and memory, by a worker process that is started when first needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from weakref import WeakSet

from drag_rl.corpus.render_request import Reply, Request
from drag_rl.errors import InputError

START_TIMEOUT_S = 120.0
"""Seconds that a worker may take to start; on an idle machine it takes half a second."""
EXIT_TIMEOUT_S = 5.0
"""Seconds to wait for the end of a worker that has closed its pipe."""
MAX_REPLY_BYTES = 1 << 16
_START = (
    "import sys; sys.modules['pymupdf.layout'] = None; from drag_rl.corpus.render_worker import main; main()"
)
"""MuPDF would import its layout analysis, which takes twice as long as all else and is of no use here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderLimits:
    """What one page may take. A usual page takes 50 ms; ten seconds is a scan of hundreds of megapixels."""

    cpu_s: float = 20.0
    """Processor time: a property of the page, however busy the machine is."""
    wall_s: float = 120.0
    """Time on the clock, for whatever waits instead of computing."""
    memory_bytes: int = 2 << 30
    """Address space of the worker: a page that wants more fails, instead of the machine."""


class PageRenderError(InputError):
    """A page that cannot be rendered: it is damaged, or asks for more time or memory than it may have."""

    def __init__(self, reason: str, *, stalled: bool = False, lasting: bool = False) -> None:
        super().__init__(reason)
        self.stalled = stalled
        """Whether the worker had to be replaced."""
        self.lasting = lasting
        """Whether another try would fail again; if not, the machine may have been the cause."""


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: Connection


class Renderer:
    """One worker process, shared by the threads of this one; a page that kills it costs a new worker."""

    def __init__(self, limits: RenderLimits | None = None) -> None:
        self.limits = limits or RenderLimits()
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        _RENDERERS.add(self)

    def render(self, request: Request) -> None:
        """Write the PNG of a page.

        Waits outside of Python's lock, so that other threads and the event loop go on.

        Raises:
            PageRenderError: The page cannot be rendered; the message is the reason.
            InputError: Its file is not there, or another one, or the image cannot be written.
        """
        message = json.dumps(asdict(request)).encode()
        with self._lock:
            try:
                reply = self._ask(message)
            except BaseException:
                self.stop()  # what a worker has not answered must not answer the next request
                raise
        if reply.problem:
            raise (
                PageRenderError(reply.problem, lasting=True)
                if reply.of_the_page
                else InputError(reply.problem)
            )

    def stop(self) -> None:
        """End the worker; the next request starts another."""
        if self._worker is not None:
            self._worker.process.kill()
            self._worker.process.wait()
            self._worker.pipe.close()
            self._worker = None

    def _ask(self, message: bytes) -> Reply:
        worker = self._living()
        try:
            worker.pipe.send_bytes(message)
            if not worker.pipe.poll(self.limits.wall_s):
                raise PageRenderError(f"no result within {self.limits.wall_s:g} s", stalled=True)
            return Reply(**json.loads(worker.pipe.recv_bytes(MAX_REPLY_BYTES)))
        except (TypeError, json.JSONDecodeError) as error:
            raise PageRenderError("the page reader sent an invalid reply", stalled=True) from error
        except (EOFError, OSError) as error:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(timeout=EXIT_TIMEOUT_S)
            code = worker.process.returncode
            if code == -signal.SIGPROF:
                reason = f"needs more than {self.limits.cpu_s:g} s of processor time"
            else:
                reason = f"the page reader crashed (exit code {code})"
            lasting = code not in (None, -signal.SIGKILL, -signal.SIGTERM)  # somebody else's doing
            raise PageRenderError(reason, stalled=True, lasting=lasting) from error

    def _living(self) -> _Worker:
        if self._worker is not None and self._worker.process.poll() is not None:
            self.stop()
        if self._worker is None:
            # Not by multiprocessing, whose children import the main module anew: a script without a guard, or verl's.
            ours, theirs = Pipe()
            command = [sys.executable, "-P", "-c", _START, str(theirs.fileno())]
            process = subprocess.Popen(
                [*command, str(self.limits.memory_bytes), str(self.limits.cpu_s)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            theirs.close()
            self._worker = _Worker(process, ours)
            try:
                if not ours.poll(START_TIMEOUT_S):
                    raise RuntimeError(f"the page renderer did not start within {START_TIMEOUT_S:g} s")
                ours.recv_bytes()
            except EOFError as error:
                raise RuntimeError("the page renderer did not start; its error message is above") from error
        return self._worker


@cache
def shared_renderer() -> Renderer:
    """The renderer of this process."""
    return Renderer()


_RENDERERS: WeakSet[Renderer] = WeakSet()


def _after_fork() -> None:
    """A forked process has the parent's ends of the pipes: it must not use them, and starts workers of its own."""
    for renderer in _RENDERERS:
        renderer._lock, renderer._worker = threading.Lock(), None


os.register_at_fork(after_in_child=_after_fork)
