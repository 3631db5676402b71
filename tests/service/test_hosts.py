"""A page of another site whose name points to this machine (DNS rebinding) is answered by no service of ours."""

from __future__ import annotations

import httpx2
import pytest
import service_lab
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from drag_rl.cli.main import main
from drag_rl.service.hosts import allowed_names, asked_by_name
from drag_rl.service.server import bound_socket


def names(host, *more):
    with bound_socket(host, 0) as listening:
        return allowed_names(listening, more)


def test_on_loopback_only_its_own_names_are_answered():
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("secret"))])
    with service_lab.running(asked_by_name(app, names("127.0.0.1", "docs.example", "*.lan"))) as url:

        def status(host):
            return httpx2.get(url, headers={"Host": host}).status_code

        for host in ("localhost", "127.0.0.1:8001", "LOCALHOST:80", "[::1]:8001", "docs.example", "a.lan:80"):
            assert status(host) == 200, host
        for host in ("evil.example", "evil.example:80", "localhost.evil.example", "xdocs.example", "lan", ""):
            assert status(host) == 400, host
        assert "secret" not in httpx2.get(url, headers={"Host": "evil.example"}).text


def test_where_other_machines_ask_they_call_it_what_they_call_it():
    assert names("0.0.0.0") == ("*",) and names("127.0.0.1", "*") == ("*",)
    assert names("0.0.0.0", "docs.example") == ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "docs.example")
    assert "127.0.0.2" in names("127.0.0.2")


@pytest.mark.parametrize("command", ["serve", "agent", "mcp"])
def test_what_is_no_name_is_one_line(command, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--index", str(tmp_path), "--allow-host", "http://docs.example:80"])
    said = "drag: --allow-host http://docs.example:80: is no host name; give it without http:// and port\n"
    assert stop.value.code == 2 and capsys.readouterr().err == said
