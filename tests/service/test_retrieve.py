"""The service: Search-R1's protocol, our fields, limits, token, health, metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from service_lab import running
from tiny_corpus import index_of

from drag_rl.errors import InputError
from drag_rl.retrieval import Query
from drag_rl.service.app import service_app
from drag_rl.service.endpoint import INDEX_HEADER
from drag_rl.service.limits import Limits
from drag_rl.service.live_index import LiveIndex
from drag_rl.service.server import bound_socket, service_token

TEXTS = [
    "red fox\non the hill",
    "blue fox",
    "green tree with a fox under it",
    "",
    'größe "quoted" 首都',
    "red tree, red hill",
]
LIMITS = Limits(body_bytes=20_000, queries=20, top_k=50, hits=200, page_ids=60, timeout_s=20)


class Service:
    """A running service and what is in it."""

    def __init__(self, live: LiveIndex, url: str) -> None:
        self.live, self.url = live, url
        self.client = httpx2.Client(base_url=url)

    def retrieve(self, **body: Any) -> httpx2.Response:
        return self.client.post("/retrieve", json=body)

    def search(self, query: Query, top_k: int) -> Any:
        return asyncio.run(self.live.now.retriever.search([query], top_k))[0]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    index_of(folder, TEXTS)
    live = LiveIndex(folder / "index")
    with running(service_app(live, LIMITS)) as url:
        yield Service(live, url)


def test_search_r1s_client_is_served(service: Service) -> None:
    """The request of its ``generation.py``, and what it makes of the answer for the model to read."""
    queries, pages = ["fox", "red hill", "zebra"], service.live.now.retriever.pages
    payload = {"queries": queries, "topk": 3, "return_scores": True}
    result = httpx2.post(f"{service.url}/retrieve", json=payload).json()["result"]
    read = []
    for found in result:
        shown = ""
        for place, item in enumerate(found):
            content = item["document"]["contents"]
            title, text = content.split("\n")[0], "\n".join(content.split("\n")[1:])
            shown += f"Doc {place + 1}(Title: {title}) {text}\n"
        read.append(shown)
    for query, shown in zip(queries, read, strict=True):
        hits = service.search(Query(text=query), 3).hits
        lines = (f'Doc {hit.rank}(Title: "{hit.page_id}") {pages.text(hit.page_id)}\n' for hit in hits)
        assert shown == "".join(lines)
    assert len(read[0]) > 60 and read[2] == ""


def test_the_answer_is_search_r1s_to_the_byte(service: Service) -> None:
    hits = service.search(Query(text="red tree"), 2).hits
    pages = service.live.now.retriever.pages
    documents = [
        {"id": hit.page_id, "contents": f'"{hit.page_id}"\n{pages.text(hit.page_id)}'} for hit in hits
    ]
    assert len(hits) == 2
    for scores, own in (
        (True, [{"document": one, "score": hit.score} for one, hit in zip(documents, hits, strict=True)]),
        (False, documents),
    ):
        answer = service.retrieve(queries=["red tree"], topk=2, return_scores=scores)
        expected = json.dumps({"result": [own]}, ensure_ascii=False, separators=(",", ":"))
        assert answer.content == expected.encode() and answer.headers["content-type"] == "application/json"
        assert answer.headers[INDEX_HEADER] == service.live.now.retriever.fingerprint


@pytest.mark.parametrize("extra", [{}, {"topk": None}, {"topk": 0}, {"unknown": 1}])
def test_topk_is_the_services_own_where_a_request_does_not_say(
    service: Service, extra: dict[str, Any]
) -> None:
    answer = service.retrieve(queries=["red fox hill tree"], **extra)
    assert [len(hits) for hits in answer.json()["result"]] == [3]


def test_our_fields_are_for_all_queries_or_for_each(service: Service) -> None:
    every = [f"doc#{number}" for number in range(1, 7)]
    asked = {"queries": ["fox", "red"], "topk": 50, "return_scores": True}
    answer = service.retrieve(**asked, track=every, without=["doc#2"], scope="doc").json()
    apart = service.retrieve(**asked, track=[every, every[:1]], without=[["doc#2"], []], scope=["doc", None])
    expected = [
        service.search(Query(text="fox", track=tuple(every), without=frozenset({"doc#2"})), 50),
        service.search(Query(text="red", track=tuple(every), without=frozenset({"doc#2"})), 50),
        service.search(Query(text="red", track=("doc#1",)), 50),
    ]
    found = [[(hit["document"]["id"], hit["score"]) for hit in hits] for hits in answer["result"]]
    assert found == [[(hit.page_id, hit.score) for hit in ranking.hits] for ranking in expected[:2]]
    assert answer["ranks"] == [list(ranking.tracked) for ranking in expected[:2]]
    assert answer["exact_to"] == [ranking.exact_to for ranking in expected[:2]]
    assert apart.json()["ranks"] == [list(expected[0].tracked), list(expected[2].tracked)]


@pytest.mark.parametrize("chars", [0, 8, 400])
def test_contents_may_be_the_part_that_fits(service: Service, chars: int) -> None:
    answer = service.retrieve(queries=["under"], snippet_chars=chars).json()
    ((document,),) = answer["result"]
    snippet = service.live.now.retriever.pages.snippet("doc#3", "under", chars)
    assert document == {"id": "doc#3", "contents": f'"doc#3"\n{snippet}'}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
likely = st.fixed_dictionaries(
    {"queries": st.lists(st.text(max_size=20), max_size=4) | json_values},
    optional={
        "topk": st.integers(-2, 60) | json_values,
        "return_scores": st.booleans() | json_values,
        "track": st.lists(st.sampled_from(["doc#1", "x"])) | json_values,
        "without": st.lists(st.lists(st.just("doc#2"))) | json_values,
        "scope": st.sampled_from(["doc", "x"]) | json_values,
        "snippet_chars": st.integers(-1, 30) | json_values,
    },
)


@settings(max_examples=60)
@given(body=(likely | json_values).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_whatever_is_sent_is_answered_or_refused_in_one_line(service: Service, body: bytes) -> None:
    answer = service.client.post("/retrieve", content=body)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 200:
        assert len(answer.json()["result"]) == len(json.loads(body)["queries"])
    else:
        detail = answer.json()["detail"]
        assert detail and len(detail.splitlines()) == 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"queries": ["a"] * 21}, 422, "queries: 21 are more than the 20 of one request"),
        ({"queries": ["a"], "topk": 51}, 422, "topk: 51 are more than the 50 of one request"),
        ({"queries": ["a"] * 10, "topk": 21}, 422, "queries times topk: 210 are more"),
        ({"queries": ["a"] * 7, "track": ["doc#1"] * 9}, 422, "pages in track and without: 63 are more"),
        ({"queries": ["a" * 20_000]}, 413, "the body is longer than 20000 bytes"),
        ({"queries": ["a"], "track": ["x"]}, 422, "page 'x' is not in the index"),
        ({"queries": ["a"], "scope": "x"}, 422, "document 'x' has no page in the index"),
        ({"queries": ["a"], "without": [["doc#1"], []]}, 422, "without: has 2 entries for 1 queries"),
        ({"queries": [1]}, 422, "queries: Input should be a valid string"),
        ({"topk": 3}, 422, "queries: Field required"),
    ],
)
def test_what_is_too_much_or_wrong_is_said(service: Service, body: Any, status: int, said: str) -> None:
    answer = service.retrieve(**body)
    assert answer.status_code == status and said in answer.json()["detail"]


def test_a_wrong_request_is_no_trouble_of_those_in_its_batch(service: Service) -> None:
    bodies = [{"queries": ["fox"], "track": ["x"] if number % 3 == 0 else []} for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: service.retrieve(**body), bodies))
    assert [answer.status_code for answer in answers] == [422, 200, 200] * 4


def test_health_says_what_is_served(service: Service) -> None:
    health = service.client.get("/health").json()
    assert health["fingerprint"] == service.live.now.retriever.fingerprint
    assert (health["kind"], health["pages"], health["problem"]) == ("bm25", 6, None)


def test_pages_are_told_line_by_line(service: Service) -> None:
    answer = service.client.get("/pages")
    rows = [json.loads(line) for line in answer.text.split("\n")[:-1]]
    assert rows == [{"id": f"doc#{number}", "text": text} for number, text in enumerate(TEXTS, start=1)]
    assert answer.headers[INDEX_HEADER] == service.live.now.retriever.fingerprint


def test_metrics_count_requests_queries_and_batches(service: Service) -> None:
    def counted() -> dict[str, float]:
        families = text_string_to_metric_families(service.client.get("/metrics").text)
        return {
            f"{one.name}{''.join(one.labels.values())}": one.value for two in families for one in two.samples
        }

    before = counted()
    service.retrieve(queries=["fox", "tree"])
    service.retrieve(queries=1)
    after = counted()
    more = {name: value - before.get(name, 0) for name, value in after.items()}
    assert more["drag_requests_total200"] == more["drag_requests_total422"] == 1
    assert more["drag_queries_total"] == more["drag_batch_queries_sum"] == 2
    assert more["drag_request_seconds_count"] == 2 and after["drag_requests_in_flight"] == 0
    assert after["drag_index_pages"] == 6


class Slow:
    """A retriever that waits for a word; before that nothing is found."""

    def __init__(self, inner: Any) -> None:
        self.pages, self.fingerprint, self._inner = inner.pages, inner.fingerprint, inner
        self.go, self.batches, self.fails = asyncio.Event(), [], False

    async def search(self, queries: Any, top_k: int) -> Any:
        self.batches.append(len(queries))
        if self.fails:
            raise OSError("the disk\nis gone")
        await self.go.wait()
        return await self._inner.search(queries, top_k)


@pytest.fixture
def slow(tmp_path: Path) -> tuple[LiveIndex, Slow]:
    index_of(tmp_path, TEXTS)
    live = LiveIndex(tmp_path / "index")
    retriever = Slow(live.now.retriever)
    live.now = replace(live.now, retriever=retriever)
    return live, retriever


def asking(live: LiveIndex, limits: Limits) -> httpx2.AsyncClient:
    """A client of the application in this event loop, without a network."""
    app = httpx2.ASGITransport(app=service_app(live, limits))
    return httpx2.AsyncClient(transport=app, base_url="http://service")


def test_requests_beyond_the_limit_are_told_to_come_again(slow: tuple[LiveIndex, Slow]) -> None:
    live, retriever = slow

    async def story() -> None:
        async with asking(live, Limits(concurrency=4)) as client:
            body = {"queries": ["fox"]}
            waiting = [asyncio.create_task(client.post("/retrieve", json=body)) for _ in range(4)]
            await asyncio.sleep(0.05)
            refused = await client.post("/retrieve", json=body)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert (await client.get("/health")).status_code == 200
            retriever.go.set()
            assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 4

    asyncio.run(story())


def test_what_waits_for_a_worker_is_searched_together(slow: tuple[LiveIndex, Slow]) -> None:
    live, retriever = slow

    async def story() -> None:
        async with asking(live, Limits()) as client:
            waiting = []
            for number in range(12):
                body = {"queries": ["fox"], "topk": 5 if number == 9 else 2}
                waiting.append(asyncio.create_task(client.post("/retrieve", json=body)))
                await asyncio.sleep(0.005)
            retriever.go.set()
            answers = await asyncio.gather(*waiting)
            assert [len(answer.json()["result"][0]) for answer in answers] == [2] * 9 + [3] + [2] * 2
        assert sorted(retriever.batches) == [1, 1, 1, 9]

    asyncio.run(story())


def test_a_search_that_takes_too_long_or_fails_is_said(slow: tuple[LiveIndex, Slow]) -> None:
    live, retriever = slow

    async def story() -> None:
        async with asking(live, Limits(timeout_s=0.05)) as client:
            late = await client.post("/retrieve", json={"queries": ["fox"]})
            assert (late.status_code, late.json()["detail"]) == (504, "no answer within 0.05 s")
            retriever.fails = True
            failed = await client.post("/retrieve", json={"queries": ["fox"]})
            assert failed.status_code == 500
            assert failed.json()["detail"] == "the search failed: the disk is gone"

    asyncio.run(story())


def test_only_who_has_the_token_may_ask(slow: tuple[LiveIndex, Slow]) -> None:
    live, retriever = slow
    retriever.go.set()
    transport = httpx2.ASGITransport(app=service_app(live, token="secret"))

    async def story() -> None:
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            for sent in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
                for method, path in (("POST", "/retrieve"), ("GET", "/pages"), ("GET", "/metrics")):
                    refused = await client.request(method, path, headers=sent, json={"queries": []})
                    assert refused.status_code == 401 and "token" in refused.json()["detail"]
            known = {"Authorization": "Bearer secret"}
            answer = await client.post("/retrieve", headers=known, json={"queries": []})
            assert answer.json() == {"result": []}
            assert (await client.get("/health")).status_code == 200

    asyncio.run(story())


def test_a_token_comes_from_the_environment() -> None:
    assert service_token({}) is service_token({"DRAG_SERVICE_TOKEN": " "}) is None
    assert service_token({"DRAG_SERVICE_TOKEN": "secret\n"}) == "secret"
    with pytest.raises(InputError, match="DRAG_SERVICE_TOKEN: has characters"):
        service_token({"DRAG_SERVICE_TOKEN": "größe"})


def test_an_address_that_cannot_be_used_is_named() -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port}: cannot be used .Address already in use"):
            bound_socket("127.0.0.1", port)
    with pytest.raises(InputError, match=r"--host no-such-host\.invalid: is no address"):
        bound_socket("no-such-host.invalid", 0)
