"""An index of shards on a real, local Ray cluster: it keeps the laws of retrievers, equals one index of all its pages,
and outlives the loss of its actors."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conformance import RetrieverConformance, search
from tiny_corpus import page_of, write_pages

from drag_rl.corpus import pages as corpus
from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined, fingerprint_files
from drag_rl.files.manifest import write_manifest
from drag_rl.retrieval import Query, Retriever, build_index, open_retriever
from drag_rl.retrieval.build import write_index
from drag_rl.retrieval.index_folder import STAGE
from drag_rl.retrieval.sharded import actors, index
from drag_rl.retrieval.sharded.index import ShardedIndex

pytestmark = pytest.mark.slow
PAGES, DOCUMENT_PAGES, QUERIES = 3000, 60, 1000
WORDS = [f"word{number}" for number in range(400)]
FREQUENT = [1 / rank for rank in range(1, len(WORDS) + 1)]


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[Any]:
    """A small cluster of this module's own."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=80_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield ray
    ray.shutdown()


class TestShardedOnActors(RetrieverConformance):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        shards = ShardedIndex(shards=2)
        write_index(folder, texts, shards)
        fingerprint = combined(fingerprint_files(folder))
        return shards.open(folder, write_manifest(folder, stage=STAGE, fingerprint=fingerprint))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``whole`` and ``sharded``: indexes of the same pages, the shards written by tasks of the cluster."""
    folder = tmp_path_factory.mktemp("world")
    draw = random.Random(0)
    pages = [
        page_of(
            f"book{row // DOCUMENT_PAGES:02}",
            row % DOCUMENT_PAGES + 1,
            " ".join(draw.choices(WORDS, FREQUENT, k=draw.randint(0, 12))),
        )
        for row in range(PAGES)
    ]
    corpus.write_pages(folder / "pages", pages, stage="ingest", pdf_dir=None)
    build_index(folder / "pages", folder / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "FEW_PAGES", 0)
        build_index(folder / "pages", folder / "sharded", "sharded", shards=2, replicas=2)
    return folder


@pytest.fixture(scope="module")
def sharded(world: Path) -> Retriever:
    """Open once, as starting actors takes its time."""
    return open_retriever(world / "sharded")


def queries_of(pages: int, draw: random.Random) -> Iterator[Query]:
    for _ in range(QUERIES):
        some = [
            f"book{row // DOCUMENT_PAGES:02}#{row % DOCUMENT_PAGES + 1}"
            for row in draw.sample(range(pages), 4)
        ]
        yield Query(
            text=" ".join(draw.choices(WORDS, FREQUENT, k=draw.randint(1, 6))),
            without=frozenset(some[: draw.choice([0, 0, 2])]),
            scope=some[2].partition("#")[0] if draw.random() < 0.2 else None,
            track=tuple(some[1:]),
        )


def test_a_thousand_queries_find_what_they_find_in_one_index(world: Path, sharded: Retriever) -> None:
    one = open_retriever(world / "whole")
    queries = [*queries_of(PAGES, random.Random(1))]
    found = search(sharded, queries, 20)
    assert found == search(one, queries, 20), "hits, exact ranks and scores, to the last bit"
    ties = sum(len({hit.score for hit in ranking.hits}) < len(ranking.hits) for ranking in found)
    assert ties > QUERIES / 2 and any(rank and rank > 500 for ranking in found for rank in ranking.tracked)


def test_a_run_goes_on_when_actors_are_killed(world: Path, sharded: Retriever, ray: Any) -> None:
    queries = [*queries_of(PAGES, random.Random(2))][:300]
    expected = search(open_retriever(world / "whole"), queries, 5)
    servers = [server(ray, sharded, *number) for number in ((0, 0), (1, 0), (1, 1))]
    processes = ray.get([actor.__ray_call__.remote(lambda _: os.getpid()) for actor in servers])

    async def run() -> list[Any]:
        found = []
        for place, query in enumerate(queries):
            if place == 100:
                for process in processes:
                    os.kill(process, signal.SIGKILL)
            found += await sharded.search([query], 5)
        return found

    assert asyncio.run(run()) == expected


def test_actors_are_shared_by_processes_and_outlive_the_one_that_started_them(
    tmp_path: Path, ray: Any
) -> None:
    class Reader:
        def __init__(self, folder: Path) -> None:
            self.retriever = open_retriever(folder)

        def fingerprint(self) -> str:
            """It has the index open."""
            return self.retriever.fingerprint

    write_pages(tmp_path / "pages", ["save the file", "save"])
    build_index(tmp_path / "pages", tmp_path / "index", "sharded", shards=1)
    first = ray.remote(Reader).remote(tmp_path / "index")
    name = f"{ray.get(first.fingerprint.remote())} 0 0"
    assert name in named_actors(ray)
    second = open_retriever(tmp_path / "index")
    queries = [Query(text="save file", track=("doc#2",))]
    before = search(second, queries, 5)
    ray.kill(first)
    eventually(lambda: name not in named_actors(ray))
    assert search(second, queries, 5) == before and name in named_actors(ray)
    del second
    eventually(lambda: name not in named_actors(ray))


def test_a_shard_that_cannot_come_back_fails_the_search_with_its_cause(
    tmp_path: Path, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "PAUSES_S", (0.0, 0.1))
    place = tmp_path / "index"
    place.mkdir()
    retriever = TestShardedOnActors().build(place, {"doc#1": "save file"})
    with pytest.raises(InputError, match=r"its shards cannot be started: .* has changed since it was opened"):
        actors.ShardActors(place, "another", 1, 1)
    place.rename(tmp_path / "moved")
    ray.kill(server(ray, retriever, 0, 0))
    with pytest.raises(InputError, match=r"shard 0 cannot be searched: .* does not exist") as failed:
        search(retriever, [Query(text="save")], 3)
    assert "\n" not in str(failed.value)


def server(ray: Any, retriever: Retriever, shard: int, replica: int) -> Any:
    return ray.get_actor(f"{retriever.fingerprint} {shard} {replica}", namespace=actors.NAMESPACE)


def named_actors(ray: Any) -> list[str]:
    gc.collect()
    found = ray.util.list_named_actors(all_namespaces=True)
    return sorted(actor["name"] for actor in found if actor["namespace"] == actors.NAMESPACE)


def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)
