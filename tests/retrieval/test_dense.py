"""A dense index, of any structure, keeps the laws of retrievers; flat ranks as plain numpy does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from conformance import CORPORA, RetrieverConformance, search
from dense_lab import opened, small_model
from embeddings_stand_in import MODEL, EmbeddingsStandIn, of_text

from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval import Query, Ranking, Retriever
from drag_rl.retrieval.dense.index import DenseIndex


class _Dense(RetrieverConformance):
    options: ClassVar[dict[str, Any]] = {}
    stand_in: ClassVar[EmbeddingsStandIn]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        with EmbeddingsStandIn() as cls.stand_in:
            yield

    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        return opened(folder, texts, DenseIndex(model=self.stand_in.url, served_model=MODEL, **self.options))


@pytest.mark.slow
class TestFlat(_Dense):
    pass


@pytest.mark.slow
class TestFlatInHalfPrecisionWithPassages(_Dense):
    options: ClassVar = {"vectors": "float16", "passage_tokens": 8}


class _Approximate(_Dense):
    scope_keeps_order = False


@pytest.mark.slow
class TestIvf(_Approximate):
    options: ClassVar = {"faiss": "ivf", "nprobe": 1, "passage_tokens": 8}

    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        self.options = self.options | {"nlist": min(3, len(set(texts.values())) - 1) or 1}
        return super().build(folder, texts)


@pytest.mark.slow
class TestIvfPq(_Approximate):
    options: ClassVar = {"faiss": "ivfpq", "nlist": 2, "m": 8, "nbits": 3, "exact_to": 20}

    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        if len(texts) < 10:  # too few to learn codes from
            self.options = {"faiss": "ivf", "exact_to": 20}
        return super().build(folder, texts)


@pytest.mark.slow
class TestHnsw(_Approximate):
    options: ClassVar = {"faiss": "hnsw", "hnsw_m": 8, "ef_construction": 40, "exact_to": 30}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddingsStandIn]:
    with EmbeddingsStandIn() as stand_in:
        yield stand_in


def test_flat_scores_and_ranks_are_those_of_numpy(server: EmbeddingsStandIn, tmp_path: Path) -> None:
    texts = CORPORA["many"]
    retriever = opened(tmp_path, texts, DenseIndex(model=server.url, served_model=MODEL))
    vectors = np.stack([of_text(text) / np.linalg.norm(of_text(text)) for text in texts.values()])
    for query in ("save the workspace", "graph", "größe unknown"):
        scores = vectors @ (of_text(query) / np.linalg.norm(of_text(query)))
        (found,) = search(retriever, [Query(text=query, track=tuple(texts))], 10)
        by_rank = scores[np.argsort(found.tracked)]
        assert sorted(filter(None, found.tracked)) == [*range(1, len(texts) + 1)]
        assert by_rank == pytest.approx(np.sort(scores)[::-1], abs=1e-6)
        assert [hit.score for hit in found.hits] == pytest.approx(by_rank[:10], abs=1e-6)
        assert found.exact_to is None


@pytest.mark.parametrize("faiss", ["ivf", "hnsw"])
def test_what_is_asked_to_look_everywhere_finds_what_flat_finds(
    server: EmbeddingsStandIn, tmp_path: Path, faiss: Any
) -> None:
    texts = CORPORA["many"]
    every = {"nlist": 4, "nprobe": 4, "ef_search": 200, "exact_to": 50}
    queries = [
        Query(text="save the workspace", track=tuple(texts)),
        Query(text="graph object", scope="book2"),
    ]
    ranked = []
    for name, options in {"flat": {}, faiss: {"faiss": faiss, **every}}.items():
        (tmp_path / name).mkdir()
        index = DenseIndex(model=server.url, served_model=MODEL, **options)
        ranked.append(search(opened(tmp_path / name, texts, index), queries, 60))
    for flat, other in zip(*ranked, strict=True):
        depth = other.exact_to or 60
        assert [hit.page_id for hit in other.hits] == [hit.page_id for hit in flat.hits][:depth]
        assert other.tracked == tuple(rank if rank and rank <= depth else None for rank in flat.tracked)
    assert ranked[1][0].exact_to == 50 and ranked[1][1].exact_to is None


def test_a_page_ranks_by_its_best_passage_and_bounded_kinds_rank_as_many_pages_as_they_say(
    server: EmbeddingsStandIn, tmp_path: Path
) -> None:
    long = " ".join(["graph file object"] * 60)
    texts = {f"long#{n}": f"{long} {'vector ' * n}" for n in range(1, 6)} | {
        "short#1": "save",
        "short#2": "load",
    }
    found = {}
    for faiss in ("flat", "hnsw"):
        (tmp_path / faiss).mkdir()
        index = DenseIndex(
            model=server.url, served_model=MODEL, passage_tokens=12, faiss=faiss, exact_to=3, ef_search=1000
        )
        found[faiss] = search(opened(tmp_path / faiss, texts, index), [Query(text="graph file object")], 7)[0]
    flat, hnsw = found["flat"], found["hnsw"]
    assert flat.hits[0].score > 0.99 and len(flat.hits) == 7
    assert {hit.page_id for hit in flat.hits[:5]} == {
        page_id for page_id in texts if page_id.startswith("long")
    }
    assert hnsw.hits == flat.hits[:3] or [hit.page_id for hit in hnsw.hits] == [
        hit.page_id for hit in flat.hits[:3]
    ]
    assert len(hnsw.hits) == hnsw.exact_to == 3


def test_more_pages_left_out_than_are_to_spare_lower_what_is_ranked(
    server: EmbeddingsStandIn, tmp_path: Path
) -> None:
    texts = {f"doc#{n}": f"save file{n}" for n in range(1, 301)}
    index = DenseIndex(model=server.url, served_model=MODEL, faiss="hnsw", exact_to=100, ef_search=1000)
    retriever = opened(tmp_path, texts, index)
    without = frozenset(list(texts)[:150])
    (found,) = search(retriever, [Query(text="save", without=without)], 300)
    assert found.exact_to == 100 - (150 - 128) and len(found.hits) <= found.exact_to
    assert not without & {hit.page_id for hit in found.hits}


def test_callers_of_one_moment_are_one_request_to_the_model_and_no_text_is_embedded_twice(
    tmp_path: Path,
) -> None:
    with EmbeddingsStandIn() as server:
        retriever = opened(tmp_path, CORPORA["ties"], DenseIndex(model=server.url, served_model=MODEL))
        server.requests.clear()

        async def together() -> list[list[Ranking]]:
            return await asyncio.gather(
                *(retriever.search([Query(text=f"save {n % 16}")], 1) for n in range(64))
            )

        found = asyncio.run(together())
        assert len(server.requests) <= 3 and sorted(server.texts) == sorted({f"save {n}" for n in range(16)})
        assert found[3] == found[19]


def test_an_index_is_refused_under_another_model(server: EmbeddingsStandIn, tmp_path: Path) -> None:
    one = DenseIndex(model=server.url, served_model=MODEL)
    other = DenseIndex(model=server.url, served_model="another")
    retriever = opened(tmp_path, CORPORA["ties"], one)
    assert len(retriever.pages) == 7
    manifest = read_manifest(tmp_path / "index")
    manifest.config["served_model"] = other.served_model
    with pytest.raises(InputError, match="is not the model that embedded its pages"):
        DenseIndex.open(tmp_path / "index", manifest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"faiss": "ivf", "nlist": 500}, "--nlist 500: needs as many vectors, and there are"),
        ({"faiss": "ivfpq", "m": 7}, "--m 7: does not divide the vectors' 32 numbers; give one of"),
        ({"faiss": "ivfpq", "m": 8}, "--nbits 8: needs 256 vectors to learn codes from"),
        ({"faiss": "tree"}, "--faiss 'tree' is not known; choose flat, ivf, ivfpq, hnsw"),
        ({"exact_to": 0}, "--exact-to must be 1 or more, not 0"),
        ({"nbits": 13}, "--nbits must be between 1 and 12, not 13"),
        ({"served_model": None}, "--served-model is missing"),
        ({"model": "no/such-model-anywhere"}, "--model no/such-model-anywhere: is no folder here"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    server: EmbeddingsStandIn, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        opened(
            tmp_path, CORPORA["many"], DenseIndex(**{"model": server.url, "served_model": MODEL, **options})
        )


@pytest.mark.slow
class TestRealModel(_Dense):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        return opened(folder, texts, DenseIndex(model=small_model(), **self.options))


@pytest.mark.slow
class TestRealModelWithHnsw(TestRealModel):
    scope_keeps_order = False
    options: ClassVar = {"faiss": "hnsw", "passage_tokens": 16}
