"""What ``drag agent`` serves to its web page, and to whom."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest
import service_lab
import trajectory_lab as lab
from page_lab import SEAL, fetch, serving

from drag_rl.handoff.options import SessionOptions
from drag_rl.handoff.session import open_session
from drag_rl.policies.source import PolicyOptions
from drag_rl.service.agent.app import agent_app
from drag_rl.service.agent.web import FILES, INERT, POLICY, images_of


@pytest.fixture(scope="module")
def without_images(tmp_path_factory):
    """The address of an agent that wants a token, whose pages are texts alone."""
    folder = tmp_path_factory.mktemp("texts")
    lab.make_index(folder)
    options = SessionOptions(
        index=folder / "index", policy=PolicyOptions(name="raw-question"), episode=lab.PLAIN
    )
    with (
        open_session(options, folder / "log") as session,
        service_lab.running(agent_app(session, token="secret", images=images_of(folder / "pages"))) as url,
    ):
        yield url


SECRET = {"Authorization": "Bearer secret"}


def test_the_page_is_its_own_files_under_a_strict_policy(without_images):
    for address, (name, media_type) in FILES.items():
        status, headers, body = fetch(f"{without_images}{address}")
        assert status == 200 and headers["Content-Type"].startswith(media_type), name
        assert headers["Content-Security-Policy"] == POLICY
        assert not re.search(rb"https?://|innerHTML|insertAdjacentHTML|\bstyle=|\bon[a-z]+=\"", body), name
    assert "unsafe" not in POLICY and {"/", "/page.js", "/page.css"} <= set(FILES)


def test_pages_are_for_those_who_may_ask(without_images):
    address = f"{without_images}/pages/pumps%232"
    assert fetch(address)[0] == 401
    status, headers, body = fetch(address, **SECRET)
    assert status == 200 and body.startswith(b"The seal needs care.")
    assert headers["Content-Security-Policy"] == INERT and headers["Content-Type"].startswith("text/plain")
    for unknown in ("pages/nothing%231", "pages/..%2F..%2Fmanifest.json", "page-images/pumps%232"):
        assert fetch(f"{without_images}/{unknown}", **SECRET)[0] == 404


def test_health_tells_what_the_page_has_to_know(without_images):
    told = json.loads(fetch(f"{without_images}/health")[2])
    assert (told["page_images"], told["needs_token"]) == (False, True)
    assert images_of(None) is None


@pytest.mark.slow
def test_an_image_is_a_png_for_those_who_may_ask(data):
    with serving(data, token="secret") as url:
        address = f"{url}/page-images/{quote(SEAL, safe='')}"
        assert fetch(address)[0] == 401
        status, headers, body = fetch(address, **SECRET)
        assert status == 200 and headers["Content-Security-Policy"] == INERT and body.startswith(b"\x89PNG")


@pytest.mark.slow
def test_an_image_whose_document_has_gone_is_missing_and_names_no_file(data, tmp_path):
    path = data / "pdf" / "manuals" / "turbine.pdf"
    moved = path.rename(tmp_path / "turbine.pdf")
    try:
        with serving(data) as url:
            status, _, body = fetch(f"{url}/page-images/{quote('manuals/turbine#1', safe='')}")
        assert status == 404 and body == b"This page cannot be shown as an image.\n"
    finally:
        moved.rename(path)
