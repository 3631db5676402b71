"""What a retriever of a server takes care of: the rate of requests, answers that are kept, options that make sense."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conformance import search
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_lab import FOX, TEXTS, Between, cache_in
from service_lab import running
from tiny_corpus import index_of

from drag_rl.errors import InputError
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.retrieval.remote import rate
from drag_rl.retrieval.remote.cache import AnswerCache
from drag_rl.retrieval.remote.index import HttpIndex
from drag_rl.retrieval.remote.rate import RateLimit
from drag_rl.service.app import service_app
from drag_rl.service.live_index import LiveIndex


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with cache_in(tmp_path_factory.mktemp("cache")):
        yield


def test_queries_that_wait_for_the_rate_go_together(tmp_path: Path) -> None:
    index_of(tmp_path, TEXTS)
    server = Between(service_app(LiveIndex(tmp_path / "index")))
    with running(server) as url:
        build_index(None, tmp_path / "http", "http", url=url, rate=20, cache=False)
        retriever = open_retriever(tmp_path / "http")

        async def crowd() -> None:
            await asyncio.gather(*(retriever.search([Query(text=f"fox {n}")], 3) for n in range(100)))

        started = time.monotonic()
        asyncio.run(crowd())
        taken = time.monotonic() - started
    sizes = [len(body["queries"]) for body in server.bodies]
    assert sum(sizes) == 100 and len(sizes) <= 1 + taken * 20 and len(sizes) < 20


@settings(max_examples=20)
@given(per_s=st.floats(0.5, 1000), calls=st.integers(2, 12))
def test_no_second_has_more_requests_than_the_rate(
    tmp_path_factory: pytest.TempPathFactory, per_s: float, calls: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "rates" / f"{per_s}-{calls}-{time.monotonic_ns()}"
    limits = [RateLimit(path, per_s), RateLimit(path, per_s)]
    due = [time.time() + limits[number % 2].reserve() for number in range(calls)]
    gaps = [after - before for before, after in pairwise(due)]
    assert all(gap >= 1 / per_s - 0.05 for gap in gaps)


@pytest.mark.parametrize(
    "found", [b"", b"x", b"\xff" * 8, rate._TIME.pack(1e11)], ids=["empty", "short", "no time", "far off"]
)
def test_a_damaged_file_of_the_rate_keeps_nobody_waiting(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "rate").write_bytes(found)
    assert RateLimit(tmp_path / "rate", 10).reserve() == 0


def test_a_cache_keeps_the_newest_answers(tmp_path: Path) -> None:
    first, second = (AnswerCache(tmp_path / "cache.sqlite", max_answers=3) for _ in range(2))
    for number in range(5):
        first.put({str(number): f"answer {number}"})
    assert second.get([*"01234"]) == {"2": "answer 2", "3": "answer 3", "4": "answer 4"}
    assert second.get([]) == {}
    second.put({"4": "another"})
    assert first.get(["4"]) == {"4": "answer 4"}


def test_a_cache_that_cannot_be_used_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache.sqlite").write_bytes(b"no database at all" * 100)
    cache = AnswerCache(tmp_path / "cache.sqlite")
    with caplog.at_level(logging.WARNING):
        cache.put({"a": "1"})
        assert cache.get(["a"]) == {}
    assert len(caplog.records) == 1 and "the cache is done without" in caplog.text


def test_an_answer_is_asked_for_once(tmp_path: Path) -> None:
    index_of(tmp_path, TEXTS)
    server = Between(service_app(LiveIndex(tmp_path / "index")))
    with running(server) as url:
        build_index(None, tmp_path / "http", "http", url=url)
        first = search(open_retriever(tmp_path / "http"), [FOX, FOX], 2)
        assert search(open_retriever(tmp_path / "http"), [FOX], 2) == first[:1] == first[1:]
        assert [body["queries"] for body in server.bodies] == [["fox"]]
        search(open_retriever(tmp_path / "http"), [replace(FOX, scope="doc")], 2)
        assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "--url is missing"),
        ({"url": "http://a", "rate": -1}, "--rate must be 0 or more"),
        ({"url": "http://a", "timeout_s": 0}, "--timeout-s more than 0"),
        ({"url": "http://a", "retries": -1}, "--retries must be 0 or more"),
        ({"url": "http://a", "depth": 0}, "--depth 1 or more"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        HttpIndex(**options)


@pytest.mark.parametrize("url", ["ftp://a", "localhost:8000", "http://", "http://a:99999", "http://[", "\n"])
def test_what_is_no_address_is_said(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match=r"--url .*is no address such as"):
        build_index(None, tmp_path / "http", "http", url=url)
