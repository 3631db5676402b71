"""vLLM's OpenAI-compatible server: its command line with our defaults, and one as a child process.

``python -m drag_rl.serving.vllm_process MODEL`` becomes such a server (scripts/serve_vllm.sh runs it).
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from drag_rl.console import run_app
from drag_rl.cpu.arithmetic import fast_dtype
from drag_rl.errors import InputError
from drag_rl.files.manifest import package_version

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM accepts as its largest adapter rank."""
START_TIMEOUT_S = 3600.0
"""Loading, and perhaps downloading, a model may take long; a server that ends is noticed at once."""
STOP_TIMEOUT_S = 20.0
_PROCESS = re.compile(r"^\(\w+ pid=\d+\)")
_ERROR = re.compile(r"\b\w+Error: |\bValue error, ")


def serve_command(
    model: str,
    *,
    name: str,
    port: int,
    host: str = "127.0.0.1",
    adapters: Mapping[str, Path] | None = None,
    tensor_parallel: int = 1,
    extra: Sequence[str] = (),
) -> list[str]:
    """The command that serves ``model`` (a folder or a hub id) under ``name``, with LoRA ``adapters`` by name.

    Model code is not trusted unless ``extra``, which is passed on to vLLM, says so. Raises InputError for an adapter
    that is none.
    """
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command += ["--served-model-name", name, "--host", host, "--port", str(port)]
    # Sampling defaults are ours, not those of the model's folder; tool calls are hermes', as Qwen writes them.
    command += ["--generation-config", "vllm", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    command += ["--tensor-parallel-size", str(tensor_parallel)]
    if on_cpu():
        # Compiling takes minutes there; a seeded request whose prompt is read in two parts stops vLLM 0.27's CPU worker
        # (gpu_model_runner.py, _bookkeeping_sync: "CPU Generator does not use offset").
        command += ["--enforce-eager", "--no-enable-chunked-prefill", "--dtype", fast_dtype()]
    if adapters:
        rank = max(_adapter_rank(path) for path in adapters.values())
        fitting = next((allowed for allowed in LORA_RANKS if allowed >= rank), None)
        if fitting is None:
            raise InputError(f"--adapter: rank {rank} is more than vLLM serves ({LORA_RANKS[-1]})")
        command += ["--enable-lora", "--max-lora-rank", str(fitting), "--lora-modules"]
        command += [_lora_module(adapter, path) for adapter, path in adapters.items()]
    return [*command, *extra]


def _lora_module(name: str, path: Path) -> str:
    """An adapter as vLLM takes it: ``name=path``, or as JSON where the path holds what would end it there."""
    short = f"{name}={path}"
    return json.dumps({"name": name, "path": str(path)}) if short.count("=") > 1 or "," in short else short


def serve_environment(model: str) -> dict[str, str]:
    """The environment to serve in: this one, with defaults for what it leaves open."""
    defaults = {"VLLM_NO_USAGE_STATS": "1"}
    if Path(model).is_dir():
        defaults["HF_HUB_OFFLINE"] = "1"
    if on_cpu():
        # Threads that sleep when idle leave the cores to others (docs/experiments.md).
        defaults |= {
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "GOMP_SPINCOUNT": "1000",
        }
    return defaults | dict(os.environ)


def on_cpu() -> bool:
    """Whether vLLM's CPU build is the one that is installed."""
    return package_version("vllm-cpu") != "absent" and shutil.which("nvidia-smi") is None


@contextmanager
def vllm_server(
    model: str, *, name: str, adapters: Mapping[str, Path], extra: Sequence[str], log: Path
) -> Iterator[tuple[str, str]]:
    """Run a server on a free port of this machine; yields its base URL and its key, and stops it at the end.

    It also ends when this process is killed (on Linux). Raises InputError, naming ``log``, when it does not start.
    """
    if package_version("vllm") == package_version("vllm-cpu") == "absent":
        raise InputError(
            "--model-path needs vLLM: bash scripts/setup.sh, or give --base-url of a running server"
        )
    port, key = _free_port(), secrets.token_hex(16)
    command = serve_command(model, name=name, port=port, adapters=adapters, extra=extra)
    launcher = [sys.executable, "-m", __name__, "--as-child", "--", *command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            launcher,
            env=serve_environment(model) | {"VLLM_API_KEY": key},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(process, port, log)
        yield f"http://127.0.0.1:{port}/v1", key
    finally:
        _stop(process)


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    url = f"http://127.0.0.1:{port}/health"
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise InputError(f"vLLM did not start; its log is {log}, which says: {_last_error(log)}")
        if asyncio.run(answers(url)):
            return
        time.sleep(0.5)
    raise InputError(f"vLLM is not ready after {START_TIMEOUT_S:.0f} s; its log is {log}")


async def answers(url: str, timeout_s: float = 5.0) -> bool:
    """Whether a server says within some seconds, and in HTTP, that it is well."""
    import httpx2  # not above: the process that becomes vLLM does without
    import openai

    from drag_rl.serving.bounded_http import BoundedClient

    try:
        async with BoundedClient(trust_env=False, verify=False, timeout=timeout_s) as client:
            return (await client.get(url)).is_success
    except (httpx2.HTTPError, openai.OpenAIError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server with all that it started: they share its process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_error(log: Path) -> str:
    """The last line of a log that tells of an error, without vLLM's name for the process."""
    lines = [_PROCESS.sub("", line).strip() for line in log.read_text(errors="replace").splitlines()]
    errors = [line for line in lines if _ERROR.search(line)]
    return (errors or [line for line in lines if line] or ["nothing"])[-1][:300]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _adapter_rank(path: Path) -> int:
    try:
        return int(json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"--adapter {path}: is no folder of a LoRA adapter ({error})") from None


def parse_adapter(text: str) -> tuple[str, Path]:
    """The name and the folder of ``NAME=PATH``. Raises InputError for anything else."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise InputError(f"--adapter {text}: write it as NAME=PATH")
    _adapter_rank(Path(path))
    return name, Path(path)


def _die_with_parent() -> None:
    """Have the system end this process, and what it becomes, when its parent is gone."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _main(
    words: Annotated[list[str], typer.Argument(metavar="MODEL [VLLM_OPTIONS]...", show_default=False)],
    name: Annotated[
        str, typer.Option(help="Name of the model for requests; its path or id by default.")
    ] = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    adapter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="LoRA adapter; repeatable.")
    ] = None,
    tensor_parallel: Annotated[int, typer.Option(min=1, help="GPUs that share the model.")] = 1,
    as_child: Annotated[bool, typer.Option("--as-child", hidden=True)] = False,
) -> None:
    """Serve a model, a folder or a hub id, with vLLM; what follows -- goes to vLLM as it is."""
    if as_child:
        _die_with_parent()
        os.execv(words[0], words)
    model, *extra = words
    command = serve_command(
        model,
        name=name or model,
        host=host,
        port=port,
        adapters=dict(map(parse_adapter, adapter or ())),
        tensor_parallel=tensor_parallel,
        extra=extra,
    )
    typer.echo(shlex.join(command), err=True)
    os.execve(command[0], command, serve_environment(model))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(context_settings={"ignore_unknown_options": True})(_main)
    run_app(app, "serve_vllm")
