"""The model that a command talks to: behind a server that runs already, or served by a vLLM of its own."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined, fingerprint_files
from drag_rl.serving.vllm_process import parse_adapter, vllm_server

API_KEY_VARIABLE = "OPENAI_API_KEY"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class Server(NamedTuple):
    """Where to ask."""

    base_url: str
    key: str
    log: Path | None
    """What a vLLM of our own writes; None for a server that ran already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which model, and how to get at it."""

    model: str | None = None
    """Name in requests; needed with ``base_url``, else the adapter's name or that of the model's folder."""
    base_url: str | None = None
    """Address of a running server. Exactly one of ``base_url`` and ``model_path`` is set."""
    model_path: str | None = None
    """Folder or hub id of a model to serve with a vLLM of our own."""
    adapter: str | None = None
    """``NAME=PATH`` of a LoRA adapter to serve with ``model_path``."""
    vllm_options: str = ""
    """Further options for that vLLM, as on a command line."""

    def check(self) -> None:
        """Raise InputError for options that do not fit together or name what is not there."""
        if (self.base_url is None) == (self.model_path is None):
            raise InputError("give either --base-url of a running server or --model-path to serve")
        if self.base_url is not None:
            if self.model is None:
                raise InputError("--base-url needs --model, the model's name at that server")
            if self.adapter is not None or self.vllm_options:
                raise InputError(
                    "--adapter and --vllm-options need --model-path; a running server has its own"
                )
        elif not Path(self.model_path or "").is_dir() and not _HUB_ID.fullmatch(self.model_path or ""):
            raise InputError(
                f"--model-path {self.model_path}: is neither a folder nor a hub id such as Qwen/Qwen3-VL-8B"
            )
        if self.adapter is not None:
            parse_adapter(self.adapter)

    @property
    def name(self) -> str:
        """The model's name in requests: the adapter's, if there is one."""
        if self.adapter is not None:
            return parse_adapter(self.adapter)[0]
        return self.model or Path(self.model_path or "").resolve().name

    def fingerprints(self) -> dict[str, str]:
        """Fingerprints of the weights, for a manifest; a running server's weights are not known."""
        found = {}
        if self.model_path is not None:
            folder = Path(self.model_path)
            found["model"] = _folder_fingerprint(folder) if folder.is_dir() else self.model_path
        if self.adapter is not None:
            found["adapter"] = _folder_fingerprint(parse_adapter(self.adapter)[1])
        return found

    @contextmanager
    def serve(self, log: Path) -> Iterator[Server]:
        """A server of the model; a vLLM of our own writes to ``log`` and is stopped at the end.

        Within :func:`shared_server` it runs on, for the next who needs the same. The key of a running server is the
        environment's OPENAI_API_KEY. Raises InputError.
        """
        shared = _shared.get()
        if self.base_url is not None:
            yield Server(self.base_url, os.environ.get(API_KEY_VARIABLE) or "EMPTY", None)
        elif shared is not None:
            yield shared.serve(self, log)
        else:
            with self._vllm(log) as server:
                yield server

    @contextmanager
    def _vllm(self, log: Path) -> Iterator[Server]:
        assert self.model_path is not None
        adapters = dict([parse_adapter(self.adapter)]) if self.adapter is not None else {}
        name = f"{self.name}-base" if adapters else self.name
        extra = shlex.split(self.vllm_options)
        with vllm_server(self.model_path, name=name, adapters=adapters, extra=extra, log=log) as (url, key):
            yield Server(url, key, log)


@dataclass(slots=True)
class _SharedServer:
    """The vLLM that runs, and the model that it was started for."""

    choice: ModelChoice | None = None
    server: Server | None = None
    stack: ExitStack = field(default_factory=ExitStack)

    def serve(self, choice: ModelChoice, log: Path) -> Server:
        """The one that runs, if it serves this model; else it makes room for a new one."""
        if self.server is None or choice != self.choice:
            self.choice = self.server = None
            self.stack.close()
            self.server = self.stack.enter_context(choice._vllm(log))
            self.choice = choice
        return self.server


_shared: ContextVar[_SharedServer | None] = ContextVar("_shared", default=None)


@contextmanager
def shared_server() -> Iterator[None]:
    """Keep a vLLM of our own until another model is asked for, or the end: loading one takes minutes."""
    shared = _SharedServer()
    token = _shared.set(shared)
    try:
        with shared.stack:
            yield
    finally:
        _shared.reset(token)


def _folder_fingerprint(folder: Path) -> str:
    """Hex SHA-256 over all files of a folder; of large ones, evenly spaced pieces."""
    return combined(fingerprint_files(folder))
