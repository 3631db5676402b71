"""Shards rank as one index of all their pages does, to the last tie. The actors have a test of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conformance import CORPORA, WORDS, RetrieverConformance, laws, search
from hypothesis import given
from hypothesis import strategies as st
from sharded_lab import sharded_here

from drag_rl.errors import InputError
from drag_rl.retrieval import Query, Retriever
from drag_rl.retrieval.build import write_index
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sharded.cuts import Cuts
from drag_rl.retrieval.sharded.index import ShardedIndex
from drag_rl.retrieval.sharded.retriever import ShardedRetriever
from drag_rl.retrieval.sparse.bm25 import Bm25, Found, Wanted
from drag_rl.retrieval.sparse.index import BM25_FOLDER, Bm25Index
from drag_rl.retrieval.sparse.retriever import Bm25Retriever


@pytest.mark.slow
class TestSharded(RetrieverConformance):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        return sharded_here(folder, texts, shards=3)


def whole(folder: Path, texts: Mapping[str, str], **options: Any) -> Retriever:
    """One index of the same pages."""
    write_index(folder, texts, Bm25Index(**options))
    return Bm25Retriever(Bm25(folder / BM25_FOLDER, PageTexts.open(folder)), "whole")


Pair = tuple[Retriever, Retriever]


@pytest.fixture(
    scope="module",
    params=[("many", 4, {}), ("many", 7, {"passage_tokens": 9, "method": "atire"}), ("ties", 7, {"b": 0.0})],
    ids=["four shards", "passages", "a page each"],
)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    corpus, shards, options = request.param
    folder = tmp_path_factory.mktemp("pair")
    for name in ("whole", "sharded"):
        (folder / name).mkdir()
    texts = CORPORA[corpus]
    return (
        whole(folder / "whole", texts, **options),
        sharded_here(folder / "sharded", texts, shards=shards, **options),
    )


@laws
@given(
    texts=st.lists(st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=5), min_size=1, max_size=4),
    top_k=st.integers(0, 200),
    data=st.data(),
)
def test_shards_find_what_one_index_finds(
    pair: Pair, texts: list[list[str]], top_k: int, data: st.DataObject
) -> None:
    every = pair[0].pages.page_ids
    documents = sorted({page_id.rpartition("#")[0] for page_id in every})
    some = st.lists(st.sampled_from(every), max_size=6)
    queries = [
        Query(
            text=" ".join(words),
            without=frozenset(data.draw(some)),
            scope=data.draw(st.one_of(st.none(), st.sampled_from(documents))),
            track=tuple(data.draw(some)),
        )
        for words in texts
    ]
    one, cut = (search(retriever, queries, top_k) for retriever in pair)
    assert cut == one, "hits, ranks and scores, to the last bit"


def test_the_statistics_of_a_shard_alone_would_rank_otherwise(tmp_path: Path) -> None:
    """A term that is rare in its shard and common elsewhere; without the whole's statistics the order is another."""
    texts = {"a#1": "graph vector", "a#2": "file", "a#3": "file", "b#1": "vector vector"} | {
        f"c#{number}": "graph" for number in range(1, 5)
    }
    retriever = sharded_here(tmp_path, texts, shards=2)
    (found,) = search(retriever, [Query(text="graph", track=tuple(texts))], 8)
    assert [hit.page_id for hit in found.hits] == ["c#1", "c#2", "c#3", "c#4", "a#1"]
    assert found.tracked == (5, None, None, None, 1, 2, 3, 4)
    assert len({hit.score for hit in found.hits[:4]}) == 1


class _Counted:
    """Shards that know nothing, and how often each was asked."""

    def __init__(self, shards: int) -> None:
        self.calls = [0] * shards

    async def find(self, shard: int, wanted: Sequence[Wanted]) -> list[Found]:
        self.calls[shard] += 1
        return [
            Found(rows=[0], scores=[1.0], ranks=[], track_scores=[2.0], above=[0 for _ in query.above])
            for query in wanted
        ]


def test_a_shard_is_asked_once_or_twice_however_many_ask() -> None:
    pages = PageTexts.of({f"doc#{number}": "save" for number in range(8)})
    shards = _Counted(4)
    retriever = ShardedRetriever(pages, Cuts.even(8, 4), shards, "")

    async def together() -> None:
        await asyncio.gather(*(retriever.search([Query(text=f"{n}")], 3) for n in range(64)))
        assert shards.calls == [1, 1, 1, 1]
        await retriever.search([Query(text="save", track=("doc#0", "doc#1"))] * 9, 3)

    asyncio.run(together())
    assert shards.calls == [3, 2, 2, 2], "the shard of tracked pages tells their scores first"


class _Failing:
    async def find(self, shard: int, wanted: Sequence[Wanted]) -> list[Found]:
        if shard == 1:
            raise InputError("shard 1 cannot be searched: gone")
        return [Found(rows=[], scores=[], ranks=[], track_scores=[], above=[]) for _ in wanted]


def test_a_search_without_one_of_its_shards_fails() -> None:
    pages = PageTexts.of({f"doc#{number}": "save" for number in range(8)})
    retriever = ShardedRetriever(pages, Cuts.even(8, 2), _Failing(), "")
    with pytest.raises(InputError, match="shard 1 cannot be searched: gone"):
        search(retriever, [Query(text="save")], 3)


@given(pages=st.integers(1, 50), shards=st.integers(1, 60), row=st.integers(0, 49))
def test_every_page_is_in_one_shard(pages: int, shards: int, row: int) -> None:
    cuts, row = Cuts.even(pages, shards), row % pages
    sizes = [end - begin for begin, end in zip(cuts.starts[:-1], cuts.starts[1:], strict=True)]
    assert sum(sizes) == pages and len(sizes) == min(pages, shards) and max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    before = [cuts.local(shard, row) for shard in range(len(cuts))]
    assert sum(before) == row and cuts.starts[cuts.shard_of(row)] + before[cuts.shard_of(row)] == row


@pytest.mark.parametrize("option", ["shards", "replicas"])
def test_there_is_a_shard_at_least(option: str) -> None:
    with pytest.raises(InputError, match=f"--{option} must be 1 or more, not 0"):
        ShardedIndex(**{option: 0})  # type: ignore[arg-type]


def test_pages_without_a_word_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no page has a word to index"):
        write_index(tmp_path, {"a#1": "", "a#2": "--"}, ShardedIndex())
