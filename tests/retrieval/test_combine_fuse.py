"""Fused indexes: the laws of retrievers for every method, and what their rankings are made of."""

from __future__ import annotations

import asyncio
import shutil
from typing import get_args

import pytest
from combine_lab import TEXTS, make_world, toy
from conformance import RetrieverConformance, search
from dense_lab import small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_corpus import write_pages

from drag_rl.errors import InputError
from drag_rl.protocol import CombineMethod
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.retrieval.combine.fuse import FusedIndex, FusedRetriever
from drag_rl.retrieval.combine.methods import combine


class FusedConformance(RetrieverConformance):
    """Of two indexes that disagree; each ranks 50 pages and no more."""

    scope_keeps_order = False
    method: CombineMethod = "rrf"
    candidates = 1000

    def build(self, folder, texts):
        del folder
        parts = [toy(texts, 64), toy(texts, 5)]
        prints = [part.fingerprint for part in parts]
        return FusedRetriever(parts, f"{prints}", method=self.method, candidates=self.candidates)


@pytest.mark.slow
class TestFusedOfFewCandidates(FusedConformance):
    candidates = 7


@pytest.mark.slow
class TestUnion(FusedConformance):
    method = "union"


class TestIntersection(FusedConformance):
    method = "intersection"


@pytest.mark.slow
class TestSum(FusedConformance):
    method = "sum"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("fuse"))


def fused(world, out, **options):
    return build_index(None, out, "fuse", part=(str(world / "words"), str(world / "other")), **options)


@pytest.mark.parametrize("method", get_args(CombineMethod))
def test_a_fused_index_ranks_as_its_parts_put_together(world, tmp_path, method):
    manifest, built = fused(world, tmp_path / "fused", method=method, weight=(2.0, 1.0))
    assert built and manifest.counts == {"pages_indexed": len(TEXTS)}
    assert fused(world, tmp_path / "fused", method=method, weight=(2.0, 1.0)) == (manifest, False)
    index = open_retriever(tmp_path / "fused", world / "pages")
    parts = [open_retriever(world / name) for name in ("words", "other")]
    query = Query(text="save a graph of files", track=tuple(index.pages.page_ids))
    lists = [
        [(index.pages.row(hit.page_id), hit.score) for hit in search(part, [query], 9)[0].hits]
        for part in parts
    ]
    (found,) = search(index, [query], 9)
    expected = combine(lists, method, weights=[2, 1], normalise=True)
    assert [(index.pages.row(hit.page_id), hit.score) for hit in found.hits] == expected
    assert found.exact_to is None, "every page that the parts can find is among their candidates"


def test_how_deep_a_ranking_is_known_is_said(world, tmp_path):
    fused(world, tmp_path / "fused", candidates=2)
    index = open_retriever(tmp_path / "fused")
    many, few, none = (Query(text=text) for text in ("save a package graph", "vector", "zebra"))
    deep, short, empty = search(index, [many, few, none], 9)
    assert deep.exact_to == len(deep.hits) >= 2
    assert (len(short.hits), short.exact_to, empty.exact_to) == (1, None, None)
    left_out = frozenset(hit.page_id for hit in deep.hits)
    (rest,) = search(index, [Query(text=many.text, without=left_out)], 9)
    assert (rest.hits, rest.exact_to) == ((), 0)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 6), st.integers(0, 6))
def test_fewer_candidates_only_forget_pages(candidates, top_k):
    texts = {f"doc#{number}": text for number, text in enumerate(TEXTS, start=1)}
    parts = [toy(texts, 64), toy(texts, 5)]
    query = [Query(text="save the graph of a package")]
    few = search(FusedRetriever(parts, "few", candidates=candidates), query, top_k)[0]
    every = search(FusedRetriever(parts, "all"), query, 99)[0]
    assert {hit.page_id for hit in few.hits} <= {hit.page_id for hit in every.hits}


def test_parts_are_searched_at_the_same_time_and_once_for_equal_queries(world):
    started, both = [], asyncio.Event()

    class Waiting:
        def __init__(self, retriever):
            self.pages, self.retriever = retriever.pages, retriever

        async def search(self, queries, top_k):
            started.append([query.text for query in queries])
            if len(started) == 2:
                both.set()
            await asyncio.wait_for(both.wait(), 5)
            return await self.retriever.search(queries, top_k)

    words = Waiting(open_retriever(world / "words"))
    index = FusedRetriever([words, words], "same")
    left_out = frozenset({"doc#1"})
    queries = [Query(text="save"), Query(text="save", without=left_out), Query(text="graph")]
    assert len(asyncio.run(index.search(queries, 2))) == 3
    assert started == [["save", "graph"]] * 2


def test_another_way_to_fuse_is_another_index(world, tmp_path):
    prints = {
        fused(world, tmp_path / f"{number}", **options)[0].fingerprint
        for number, options in enumerate([{}, {"method": "sum"}, {"weight": (1.0, 2.0)}, {"candidates": 3}])
    }
    assert len(prints) == 4


def test_a_part_that_has_changed_or_gone_is_refused(world, tmp_path):
    shutil.copytree(world, tmp_path / "copy")
    world = tmp_path / "copy"
    fused(world, world / "fused")
    build_index(world / "pages", world / "other", k1=0.3)
    with pytest.raises(InputError, match=r"other: has changed since .*fused was composed of it"):
        open_retriever(world / "fused")
    fused(world, world / "fused")
    moved = tmp_path / "moved"
    world.rename(moved)
    assert search(open_retriever(moved / "fused"), [Query(text="graph")], 1)[0].hits, "parts move along"
    shutil.rmtree(moved / "other")
    with pytest.raises(InputError, match="other"):
        open_retriever(moved / "fused")


def test_parts_of_other_pages_are_refused(world, tmp_path):
    build_index(write_pages(tmp_path / "pages", TEXTS[:3]), tmp_path / "words")
    parts = (str(world / "words"), str(tmp_path / "words"))
    with pytest.raises(InputError, match=r"--part .*words: was made from other pages"):
        build_index(None, tmp_path / "fused", "fuse", part=parts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part": ("a",)}, "--kind fuse needs two --part or more, not 1"),
        ({"method": "lucene"}, "--method 'lucene' is not known; choose rrf, union, intersection, sum"),
        ({"weight": (1.0,)}, "--weight is given 1 times for 2 parts"),
        ({"weight": (1.0, 0.0)}, r"--weight 0\.0: must be above 0"),
        ({"weight": (1.0, float("nan"))}, "--weight nan: must be above 0"),
        ({"candidates": 0}, "--candidates must be 1 or more, not 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        FusedIndex(**{"part": ("a", "b"), **options})


def test_a_fused_index_has_no_pages_folder(world, tmp_path):
    with pytest.raises(InputError, match="has those of its parts; leave the option out"):
        build_index(world / "pages", tmp_path / "fused", "fuse", part=(str(world / "words"),) * 2)
    assert not (tmp_path / "fused").exists()


@pytest.mark.slow
def test_words_and_meaning_are_fused_and_meaning_reranks_words(world, tmp_path):
    build_index(world / "pages", tmp_path / "dense", "dense", model=small_model())
    parts = (str(world / "words"), str(tmp_path / "dense"))
    build_index(None, tmp_path / "fused", "fuse", part=parts)
    build_index(None, tmp_path / "reranked", "rerank", part=parts, candidates=2)
    words, dense, fused, reranked = (
        open_retriever(folder, world / "pages")
        for folder in (world / "words", *(tmp_path / name for name in ("dense", "fused", "reranked")))
    )
    every = tuple(words.pages.page_ids)
    query = [Query(text="keep the package on disk", track=every)]
    of_words, of_dense, of_both, of_best = (
        search(one, query, 9)[0] for one in (words, dense, fused, reranked)
    )
    assert len(of_words.hits) == 2 and len(of_dense.hits) == len(of_both.hits) == len(every)
    shares = [
        sum(1 / (60 + rank) for rank in ranks if rank)
        for ranks in zip(of_words.tracked, of_dense.tracked, strict=True)
    ]
    places = sorted(range(len(every)), key=lambda row: (-shares[row], row))
    assert [hit.page_id for hit in of_both.hits] == [every[row] for row in places]
    assert of_both.exact_to is None
    ranks = dict(zip(every, of_dense.tracked, strict=True))
    assert [hit.page_id for hit in of_best.hits] == sorted(
        (hit.page_id for hit in of_words.hits), key=ranks.get
    )
