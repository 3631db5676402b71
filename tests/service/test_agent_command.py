"""``drag agent`` and ``drag mcp --http`` as users start and end them; every mistake is one line."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest
import trajectory_lab as lab
from mcp import Client

from drag_rl.cli.main import main


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command")
    lab.make_index(folder)
    return folder / "index"


@contextmanager
def started(*words: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that serves, once it listens, and its address; both of its outputs are read as one."""
    command = [sys.executable, "-m", "drag_rl.cli.main", *map(str, words)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"{line}{process.stdout.read()}"
            yield process, found.group()
        finally:
            process.kill()


@pytest.mark.slow
def test_an_agent_answers_until_it_is_told_to_end(index):
    with started("agent", "--index", index, "--searcher", "raw-question", "--port", 0) as (process, url):
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        messages = [{"role": "user", "content": lab.QUESTIONS[1].text}]
        said = client.chat.completions.create(model="drag", messages=messages)
        assert said.choices[0].message.content == "[pumps#2]"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.slow
def test_tools_are_offered_over_http_with_pages_that_open(index):
    with started("mcp", "--index", index, "--http", "--port", 0) as (process, url):

        async def call():
            async with Client(url) as client:
                names = {tool.name for tool in (await client.list_tools()).tools}
                return names, await client.call_tool("search", {"query": "seal"})

        names, found = asyncio.run(call())
        assert names == {"search", "fetch"}
        [first, *_] = found.structured_content["results"]
        assert first["url"] == f"{url.removesuffix('/mcp')}/pages/pumps%232"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.parametrize("command", ["agent", "mcp"])
def test_mistakes_are_one_line(index, command, tmp_path, capsys):
    http = ["--http"] if command == "mcp" else []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["--index", str(index), "--searcher", "raw-question"]
        for more, said in (
            ([*words, *http, "--port", port], f"--port {port}: cannot be used"),
            (["--index", str(tmp_path / "none"), *words[2:], *http, "--port", "0"], "none"),
            ([*words[:2], "--searcher", "nobody", *http, "--port", "0"], "is no folder, no adapter"),
            (
                [*words[:2], "--searcher", "oracle-depth", *http, "--port", "0"],
                "reads a question's gold pages",
            ),
        ):
            with pytest.raises(SystemExit) as stop:
                main([command, *more])
            err = capsys.readouterr().err
            assert stop.value.code == 2 and said in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(("command", "module"), [("agent", "fastapi"), ("mcp", "mcp.server")])
def test_a_missing_extra_is_named(index, command, module, capsys, monkeypatch):
    for name in [*sys.modules]:
        if name.startswith("drag_rl.service"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as stop:
        main([command, "--index", str(index), "--searcher", "raw-question"])
    assert stop.value.code == 2 and "pip install 'drag-rl[serve]'" in capsys.readouterr().err
