"""A stand-in for vLLM's server: the same command line and address, a script for a model.

It has a child process, which it ends when it is asked to end, as vLLM does. Each start adds its process id and its
child's to the file that STARTED names.
"""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

SERVER = """
import os, signal, subprocess, sys, time

sys.path.append(os.environ["STAND_IN_TESTS"])
from collect_lab import model
from fake_openai import FakeServer, Said

child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
signal.signal(signal.SIGTERM, lambda *_: (child.kill(), sys.exit()))
with open(os.environ["STARTED"], "a") as file:
    print(os.getpid(), child.pid, file=file)
port, delay = int(sys.argv[sys.argv.index("--port") + 1]), float(os.environ.get("SAY_AFTER_S", 0))
say = lambda request: Said(text=model(request), delay_s=delay)
with FakeServer(say, key=os.environ["VLLM_API_KEY"], port=port):
    time.sleep(600)
"""


def install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Put the stand-in first on the path of processes that start; returns the file of those that have."""
    server = folder / "stand-in" / "vllm" / "entrypoints" / "openai" / "api_server.py"
    server.parent.mkdir(parents=True)
    for package in server.parents[:3]:
        (package / "__init__.py").touch()
    server.write_text(SERVER)
    monkeypatch.setenv("PYTHONPATH", str(server.parents[3]))
    monkeypatch.setenv("STAND_IN_TESTS", str(Path(__file__).parent))
    monkeypatch.setenv("STARTED", str(folder / "started"))
    return folder / "started"


def running(started: Path) -> list[int]:
    """The processes of all starts that still run; what ended and was not yet collected by its parent does not."""
    pids = [int(pid) for line in started.read_text().splitlines() for pid in line.split()]
    return [
        pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]
