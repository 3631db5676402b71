"""A server that is slow, gone, wrong or restarted: an answer after all, or an error with its cause; never no hits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conformance import search
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_lab import FOX, TEXTS, Between, cache_in
from search_r1_server import search_r1_server
from service_lab import running
from starlette.responses import RedirectResponse, Response, StreamingResponse
from tiny_corpus import index_of, write_pages

from drag_rl.retrieval import Query, Retriever, build_index, open_retriever
from drag_rl.retrieval.remote import transport
from drag_rl.retrieval.remote.transport import ServerFailed
from drag_rl.service.app import service_app
from drag_rl.service.live_index import LiveIndex


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with cache_in(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Between, Retriever, Path]]:
    """A server, a retriever that asks it and tries twice, and the folder of what is served."""
    folder = tmp_path_factory.mktemp("world")
    index_of(folder, TEXTS)
    server = Between(service_app(LiveIndex(folder / "index")))
    with running(server) as url:
        options = {"url": url, "timeout_s": 1, "retries": 1, "cache": False}
        build_index(None, folder / "http", "http", **options)
        yield server, open_retriever(folder / "http"), folder


@pytest.fixture
def server(world: tuple[Between, Retriever, Path]) -> Iterator[Between]:
    yield world[0]
    world[0].next, world[0].always, world[0].bodies = [], None, []


@pytest.fixture
def retriever(world: tuple[Between, Retriever, Path]) -> Retriever:
    return world[1]


def later() -> Response:
    async def drops() -> Any:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.05)

    return StreamingResponse(drops())


@pytest.mark.parametrize("trouble", [lambda: Response(status_code=503), lambda: Response("x", 500), later])
def test_trouble_that_passes_is_waited_for(
    server: Between, retriever: Retriever, trouble: Callable[[], Response]
) -> None:
    server.next = [trouble]
    (found,) = search(retriever, [FOX], 3)
    assert len(found.hits) == 2 and found.tracked[0] in (1, 2) and len(server.bodies) == 2


def test_a_server_says_how_long_to_wait(server: Between, retriever: Retriever) -> None:
    server.next = [lambda: Response(status_code=429, headers={"Retry-After": "0.8"})]
    started = time.monotonic()
    search(retriever, [FOX], 3)
    assert time.monotonic() - started >= 0.8


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: Response(status_code=503), r"HTTP 503: no words \(after 2 attempts\)"),
        (later, r"no whole answer within 1 s \(after 2 attempts\)"),
        (lambda: Response('{"detail": "too\\nmuch"}', 422), "/retrieve: HTTP 422: too much$"),
        (lambda: Response(status_code=401), "HTTP 401: no words; set DRAG_SERVICE_TOKEN"),
        (lambda: Response("<html>"), "its answer is no JSON"),
        (lambda: Response("[" * 100_000), "its answer is no JSON"),
        (lambda: Response("{}", headers={"Content-Encoding": "gzip"}), "sends what cannot be read"),
        (lambda: RedirectResponse("http://elsewhere/"), "sends requests on to http://elsewhere/"),
        (lambda: Response('{"result": []}'), "serves another index than it did"),
        (lambda: Response(" " * 2000), "its answer is longer than 0 MiB"),
    ],
)
def test_what_is_no_answer_is_an_error_with_its_cause(
    server: Between,
    retriever: Retriever,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], Response],
    said: str,
) -> None:
    if "longer" in said:
        monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1000)
    server.always = answer
    with pytest.raises(ServerFailed, match=said) as failed:
        search(retriever, [FOX], 3)
    assert len(str(failed.value).splitlines()) == 1 and "http://127.0.0.1:" in str(failed.value)
    server.always = None
    assert len(search(retriever, [FOX], 3)[0].hits) == 2, "and the next search is answered again"


HIT = {"document": {"id": "doc#1", "contents": ""}, "score": 1.0}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"result": [[HIT]]},
        {"result": [], "ranks": [], "exact_to": []},
        {"result": [[HIT]], "ranks": [[]], "exact_to": [None]},
        {"result": [[HIT] * 4], "ranks": [[1]], "exact_to": [None]},
        {"result": [[HIT | {"score": float("nan")}]], "ranks": [[1]], "exact_to": [None]},
        {"result": [[HIT | {"document": {"id": "x"}}]], "ranks": [[1]], "exact_to": [None]},
    ],
)
def test_an_answer_that_does_not_fit_is_refused(
    world: tuple[Between, Retriever, Path], server: Between, retriever: Retriever, body: Any
) -> None:
    fingerprint = open_retriever(world[2] / "index").fingerprint
    server.always = lambda: Response(json.dumps(body), headers={"Drag-Index": fingerprint})
    with pytest.raises(ServerFailed, match=r"its answer (is none of drag serve|does not fit what was asked)"):
        search(retriever, [FOX], 3)


json_values = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["document", "score", "id", "contents"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Between, Retriever]]:
    folder = tmp_path_factory.mktemp("foreign")
    inner = index_of(folder, TEXTS).retriever
    server = Between(search_r1_server(inner))
    with running(server) as url:
        options = {"url": url, "retries": 0, "cache": False}
        build_index(folder / "pages", folder / "http", "http", **options)
        yield server, open_retriever(folder / "http")


@settings(max_examples=40)
@given(body=st.fixed_dictionaries({"result": st.lists(json_values, max_size=2)}) | json_values)
def test_whatever_a_foreign_server_sends_is_hits_or_an_error(
    foreign: tuple[Between, Retriever], body: Any
) -> None:
    server, retriever = foreign
    server.always = lambda: Response(json.dumps(body))
    try:
        (found,) = search(retriever, [Query(text="fox")], 3)
    except ServerFailed:
        return
    assert bool(found.hits) == bool(body["result"][0])
    assert all(hit.page_id in retriever.pages for hit in found.hits)


def test_a_server_that_has_gone_is_said(tmp_path: Path) -> None:
    index_of(tmp_path, TEXTS)
    with running(service_app(LiveIndex(tmp_path / "index"))) as url:
        build_index(None, tmp_path / "http", "http", url=url, retries=1, cache=False)
        retriever = open_retriever(tmp_path / "http")
    for use in (lambda: search(retriever, [FOX], 3), lambda: open_retriever(tmp_path / "http")):
        with pytest.raises(ServerFailed, match=r"cannot be reached: .* \(after 2 attempts\)"):
            use()


def test_a_changed_index_is_an_error(tmp_path: Path) -> None:
    index_of(tmp_path, TEXTS)
    live = LiveIndex(tmp_path / "index", every_s=0.02)
    with running(service_app(live)) as url:
        build_index(None, tmp_path / "http", "http", url=url)
        retriever = open_retriever(tmp_path / "http")
        search(retriever, [FOX], 3)
        build_index(write_pages(tmp_path / "more", [*TEXTS, "fox"]), tmp_path / "index")
        while not live.swaps:
            time.sleep(0.01)
        with pytest.raises(
            ServerFailed, match="serves another index than it did; run drag index --kind http"
        ):
            search(retriever, [replace(FOX, text="blue")], 3)


def test_the_token_of_the_environment_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_of(tmp_path, TEXTS)
    with running(service_app(LiveIndex(tmp_path / "index"), token="secret")) as url:
        with pytest.raises(ServerFailed, match=r"/pages: HTTP 401: .*; set DRAG_SERVICE_TOKEN"):
            build_index(None, tmp_path / "http", "http", url=url)
        monkeypatch.setenv("DRAG_SERVICE_TOKEN", "secret")
        build_index(None, tmp_path / "http", "http", url=url)
        assert len(search(open_retriever(tmp_path / "http"), [FOX], 3)[0].hits) == 2


@pytest.mark.slow
def test_a_restart_loses_no_request_and_doubles_none(tmp_path: Path) -> None:
    index_of(tmp_path, TEXTS)
    texts = [f"{color} fox {number}" for number in range(150) for color in ("red", "blue")]
    with running(service_app(LiveIndex(tmp_path / "index"))) as url:
        build_index(None, tmp_path / "http", "http", url=url, retries=8, cache=False)
        retriever = open_retriever(tmp_path / "http")

    def ask(text: str) -> tuple[str, str]:
        (found,) = search(retriever, [Query(text=text)], 1)
        time.sleep(0.02)
        return text, found.hits[0].page_id

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(ask, texts)
        for _ in range(3):
            with running(service_app(LiveIndex(tmp_path / "index")), int(url.rpartition(":")[2])):
                time.sleep(0.4)
            time.sleep(0.3)
        with running(service_app(LiveIndex(tmp_path / "index")), int(url.rpartition(":")[2])):
            found = list(answers)
    assert found == [(text, "doc#1" if text.startswith("red") else "doc#2") for text in texts]
