"""Searching by HTTP: the laws of retrievers, for our service and for a server in Search-R1's design."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conformance import RetrieverConformance, page_ids, search
from search_r1_server import search_r1_server
from service_lab import mounted, running
from tiny_corpus import page_of

from drag_rl.corpus import pages as corpus
from drag_rl.errors import InputError
from drag_rl.retrieval import Query, Retriever, build_index, open_retriever
from drag_rl.service.app import service_app
from drag_rl.service.live_index import LiveIndex


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pages_of(folder: Path, texts: Mapping[str, str]) -> Path:
    """A PAGES_DIR of pages with these ids."""
    pages = [
        replace(page_of("doc", number, text), page_id=page_id)
        for number, (page_id, text) in enumerate(texts.items(), start=1)
    ]
    corpus.write_pages(folder / "pages", pages, stage="ingest", pdf_dir=None)
    return folder / "pages"


class Served(RetrieverConformance):
    """Indexes of servers at one address."""

    apps: dict[str, Any]
    url: str

    @pytest.fixture(scope="class", autouse=True)
    def _server(self, request: pytest.FixtureRequest) -> Iterator[None]:
        request.cls.apps = {}
        with running(mounted(request.cls.apps)) as request.cls.url:
            yield

    def address(self, texts: Mapping[str, str]) -> str:
        """The address of a corpus; the same corpus has the same."""
        return f"{self.url}/{self.name(texts)}"

    def name(self, texts: Mapping[str, str]) -> str:
        return sha256(json.dumps(texts).encode()).hexdigest()[:8]


@pytest.mark.slow
class TestDragService(Served):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        build_index(pages_of(folder, texts), folder / "served")
        self.apps[self.name(texts)] = service_app(LiveIndex(folder / "served"))
        build_index(None, folder / "index", "http", url=self.address(texts))
        return open_retriever(folder / "index")


@pytest.mark.slow
class TestSearchR1(Served):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        pages = pages_of(folder, texts)
        build_index(pages, folder / "served")
        self.apps[self.name(texts)] = search_r1_server(open_retriever(folder / "served"))
        build_index(pages, folder / "index", "http", url=f"{self.address(texts)}/retrieve", cache=False)
        return open_retriever(folder / "index")


TEXTS = {
    "a#1": "red fox and hounds",
    "a#2": "blue fox",
    "b#1": "red tree, red hill, \u2028 and fox",
    "b#2": "fox",
}


def test_our_service_tells_what_its_own_index_finds(tmp_path: Path) -> None:
    build_index(pages_of(tmp_path, TEXTS), tmp_path / "served")
    inner = open_retriever(tmp_path / "served")
    with running(service_app(LiveIndex(tmp_path / "served"))) as url:
        build_index(None, tmp_path / "index", "http", url=url)
        retriever = open_retriever(tmp_path / "index")
        queries = [
            Query(text="red fox", track=tuple(TEXTS)),
            Query(text="red fox", track=("b#2",), without=frozenset({"a#1", "b#1"})),
            Query(text="fox", scope="b", track=("b#1", "a#1")),
        ]
        for top_k in (0, 1, 9):
            assert search(retriever, queries, top_k) == search(inner, queries, top_k)
    assert search(retriever, queries, 9) == search(inner, queries, 9), "kept, though the service has gone"


@pytest.mark.parametrize("scores", [True, False])
def test_a_document_without_an_id_is_told_by_its_text(tmp_path: Path, scores: bool) -> None:
    pages = pages_of(tmp_path, TEXTS)
    build_index(pages, tmp_path / "served")
    inner = open_retriever(tmp_path / "served")
    with running(search_r1_server(inner, ids=False, scores=scores)) as url:
        build_index(pages, tmp_path / "index", "http", url=url, depth=2)
        retriever = open_retriever(tmp_path / "index")
        every = Query(text="red fox", track=tuple(TEXTS))
        (found,), (whole,) = search(retriever, [every], 9), search(inner, [every], 9)
        assert page_ids(found) == page_ids(whole)[:2] and found.exact_to == 2
        assert found.tracked == tuple(rank if rank and rank <= 2 else None for rank in whole.tracked)
        if scores:
            assert [hit.score for hit in found.hits] == [hit.score for hit in whole.hits[:2]]
        (scoped,) = search(retriever, [replace(every, scope="a")], 9)
        assert scoped.exact_to == len(scoped.hits) < 2, "below them there may be more"


def test_a_server_that_has_other_pages_is_refused(tmp_path: Path) -> None:
    pages = pages_of(tmp_path, TEXTS)
    build_index(pages, tmp_path / "served")
    others = pages_of(tmp_path / "other", {"x#1": "red fox", "x#2": "blue"})
    with running(search_r1_server(open_retriever(tmp_path / "served"))) as url:
        with pytest.raises(InputError, match=r"'b#1'.*none of the pages.*--pages"):
            build_index(others, tmp_path / "index", "http", url=url)
        with pytest.raises(InputError, match=r"does not tell its pages.*give --pages"):
            build_index(None, tmp_path / "index", "http", url=url)
    with (
        running(service_app(LiveIndex(tmp_path / "served"))) as url,
        pytest.raises(InputError, match="has 4 pages, --pages 2"),
    ):
        build_index(others, tmp_path / "index", "http", url=url)


def test_an_index_is_made_once_for_one_state_of_the_service(tmp_path: Path) -> None:
    build_index(pages_of(tmp_path, TEXTS), tmp_path / "served")
    with running(service_app(LiveIndex(tmp_path / "served"))) as url:
        assert build_index(None, tmp_path / "index", "http", url=url)[1]
        assert not build_index(None, tmp_path / "index", "http", url=url)[1]
    build_index(pages_of(tmp_path / "new", TEXTS | {"c#1": "fox"}), tmp_path / "new" / "served")
    port = int(url.rpartition(":")[2])
    with running(service_app(LiveIndex(tmp_path / "new" / "served")), port):
        with pytest.raises(InputError, match="serves another index than it did; run drag index"):
            open_retriever(tmp_path / "index")
        assert build_index(None, tmp_path / "index", "http", url=url)[1]
        assert len(open_retriever(tmp_path / "index").pages) == 5
