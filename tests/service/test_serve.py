"""``drag serve`` as users start and end it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from tiny_corpus import index_of, write_pages

from drag_rl.cli.main import main
from drag_rl.retrieval import build_index


@contextmanager
def served(*options: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A ``drag serve`` of its own, once it listens, and its address."""
    command = [sys.executable, "-m", "drag_rl.cli.main", "serve", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"{line}{process.stderr.read() if process.stderr else ''}"
            yield process, found.group()
        finally:
            process.kill()


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as stop:
        main(["serve", "--index", str(tmp_path), "--port", str(taken.getsockname()[1])])
    assert stop.value.code == 2
    assert re.fullmatch(r"drag: --host 127.0.0.1 --port \d+: cannot be used .*\n", capsys.readouterr().err)


def test_what_is_no_index_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["serve", "--index", str(tmp_path / "none"), "--port", "0"])
    assert stop.value.code == 2 and capsys.readouterr().err.endswith("run the stage that makes it (again)\n")


def test_a_missing_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [*sys.modules]:
        if module.startswith("drag_rl.service"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(SystemExit) as stop:
        main(["serve", "--index", str(tmp_path)])
    assert stop.value.code == 2 and "pip install 'drag-rl[serve]'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_told_to_end_answers_what_has_been_asked(tmp_path: Path, number: int) -> None:
    index_of(tmp_path, ["red fox"] * 50)
    answers: list[int] = []
    lost: list[str] = []

    def ask(url: str) -> None:
        with httpx2.Client(base_url=url, timeout=20) as client:
            while True:
                try:
                    answer = client.post("/retrieve", json={"queries": ["fox"] * 200, "topk": 50})
                except httpx2.ConnectError:
                    return  # it listens no more
                except httpx2.TransportError as error:
                    lost.append(repr(error))
                    return
                answers.append(answer.status_code)

    with served("--index", tmp_path / "index", "--port", 0) as (process, url):
        callers = [threading.Thread(target=ask, args=(url,)) for _ in range(4)]
        for caller in callers:
            caller.start()
        while len(answers) < 20:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(20) == 0
        for caller in callers:
            caller.join(20)
    assert set(answers) == {200}
    # A request that meets the very end of an idle connection is not read at all, and so is safe to send again.
    assert all("ReadError" in one or "RemoteProtocolError" in one or "WriteError" in one for one in lost)


@pytest.mark.slow
def test_sighup_has_a_new_index_looked_at_at_once(tmp_path: Path) -> None:
    index_of(tmp_path, ["red fox"])
    with served("--index", tmp_path / "index", "--port", 0) as (process, url):
        assert httpx2.get(f"{url}/health").json()["pages"] == 1
        build_index(write_pages(tmp_path / "more", ["red fox", "blue fox"]), tmp_path / "index")
        process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 1.5
        while httpx2.get(f"{url}/health").json()["pages"] != 2:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.slow
def test_an_index_of_the_service_is_searched_as_its_own_index_is(tmp_path: Path) -> None:
    index_of(tmp_path, ["red fox", "blue fox", "green tree"])

    def drag(*words: object) -> str:
        command = [sys.executable, "-m", "drag_rl.cli.main", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    with served("--index", tmp_path / "index", "--port", 0) as (_, url):
        options = ("--kind", "http", "--url", url, "--rate", 50, "--no-cache")
        assert "Indexed 3 pages" in drag("index", "--out", tmp_path / "http", *options)
        found = [
            drag("search", "--index", tmp_path / name, "--json", "blue fox") for name in ("http", "index")
        ]
    assert found[0] == found[1] and "blue fox" in found[0]
