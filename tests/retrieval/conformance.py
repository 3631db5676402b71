"""What is true of every retriever; a back end is tested by a subclass that says how to build one::

class TestMine(RetrieverConformance):
    def build(self, folder, texts):
        return MyRetriever(PageTexts.of(texts), ...)
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drag_rl.errors import InputError
from drag_rl.retrieval import Query, Ranking, Retriever

WORDS = (
    "save",
    "workspace",
    "object",
    "file",
    "package",
    "install",
    "graph",
    "vector",
    "the",
    "größe",
    "首都",
)


def _many() -> dict[str, str]:
    draw = random.Random(0)
    weights = [1 / rank for rank in range(1, len(WORDS) + 1)]
    return {
        f"book{document}#{number}": " ".join(draw.choices(WORDS, weights, k=draw.randint(1, 40)))
        for document in range(6)
        for number in range(1, 31)
    }


CORPORA: dict[str, dict[str, str]] = {
    "ties": {
        "b#2": "save file",
        "b#1": "save file",
        "a#1": "",
        "a#2": "save the workspace, save file",
        "a": "file",
        "c/d #x#1": "save file  \n save file",
        "c/d #x#2": "graph",
    },
    "one page": {"only#1": "Save the workspace to a file."},
    "many": _many(),
}
"""Pages in page order: of equal score, with ids that are no usual ones, and more than some back ends rank exactly."""
HOSTILE = (
    "\ud800 save",
    "save\x00file",
    "save " * 2000,
    "首都 größe",
    '" OR 1=1 -- <search>',
    "\u202esave",
    "*:*",
)

texts_of_queries = st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=1, max_size=5).map(" ".join)
laws = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.function_scoped_fixture],
)


def page_ids(ranking: Ranking) -> list[str]:
    return [hit.page_id for hit in ranking.hits]


def same(one: Ranking, other: Ranking) -> bool:
    """Whether two rankings agree; scores as far as a batch's arithmetic allows."""
    scores = [[hit.score for hit in ranking.hits] for ranking in (one, other)]
    ranks = [(page_ids(ranking), ranking.tracked, ranking.exact_to) for ranking in (one, other)]
    return ranks[0] == ranks[1] and scores[0] == pytest.approx(scores[1], rel=1e-4)


class RetrieverConformance(ABC):
    """The laws; each corpus is built once."""

    scope_keeps_order: ClassVar[bool] = True
    """Whether the pages of a document rank within its scope as they do among all pages. False for a retriever that
    puts ranks or candidates together, which are others within the scope."""

    @abstractmethod
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        """The retriever of pages, in their order; ``folder`` is empty, for what it wants to store."""

    @pytest.fixture(scope="class")
    def retrievers(self, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Retriever]:
        return {name: self.build(tmp_path_factory.mktemp("corpus"), texts) for name, texts in CORPORA.items()}

    @pytest.fixture(params=CORPORA)
    def retriever(self, request: pytest.FixtureRequest, retrievers: dict[str, Retriever]) -> Retriever:
        return retrievers[request.param]

    @laws
    @given(text=texts_of_queries, top_k=st.integers(0, 8))
    def test_hits_are_in_order_and_agree_with_the_tracked_ranks(
        self, retriever: Retriever, text: str, top_k: int
    ) -> None:
        every = retriever.pages.page_ids
        whole, short = (
            search(retriever, [Query(text=text, track=every)], depth)[0] for depth in (len(every) + 5, top_k)
        )
        ranks = {hit.page_id: hit.rank for hit in whole.hits}
        assert list(ranks.values()) == list(range(1, len(whole.hits) + 1)) and ranks.keys() <= set(every)
        keys = [(-hit.score, every.index(hit.page_id)) for hit in whole.hits]
        assert keys == sorted(keys), "best first, and pages of equal score in page order"
        assert whole.tracked == tuple(map(ranks.get, every)), (
            "a page is ranked where it is listed, or not at all"
        )
        assert short.tracked == whole.tracked and page_ids(short) == page_ids(whole)[:top_k]
        assert whole.exact_to == short.exact_to and len(whole.hits) <= (whole.exact_to or len(every))
        assert not any(hit.snippet for hit in whole.hits)

    @laws
    @given(text=texts_of_queries, top_k=st.integers(1, 8), data=st.data())
    def test_pages_left_out_or_outside_the_scope_are_as_if_they_were_not_there(
        self, retriever: Retriever, text: str, top_k: int, data: st.DataObject
    ) -> None:
        every = retriever.pages.page_ids
        without = data.draw(st.frozensets(st.sampled_from(every), max_size=6))
        documents = sorted({page_id.rpartition("#")[0] for page_id in every})
        scope = data.draw(st.one_of(st.none(), st.sampled_from(documents)))
        within = None if self.scope_keeps_order else scope
        (whole,) = search(retriever, [Query(text=text, scope=within)], len(every))
        query = Query(text=text, without=without, scope=scope, track=every)
        (found,), (short,) = (search(retriever, [query], depth) for depth in (len(every), top_k))
        left = [
            page_id
            for page_id in page_ids(whole)
            if page_id not in without and scope in (None, page_id.rpartition("#")[0])
        ]
        assert page_ids(found)[: len(left)] == left, "the others keep their order"
        assert whole.exact_to is not None or len(found.hits) == len(left)
        assert page_ids(short) == page_ids(found)[:top_k]
        ranks = {hit.page_id: hit.rank for hit in found.hits}
        assert found.tracked == tuple(map(ranks.get, every)), "ranks count what is left"
        assert not ranks.keys() & without

    @laws
    @given(texts=st.lists(texts_of_queries, max_size=4), top_k=st.integers(1, 5), data=st.data())
    def test_a_batch_finds_what_its_queries_find_alone(
        self, retriever: Retriever, texts: list[str], top_k: int, data: st.DataObject
    ) -> None:
        every = retriever.pages.page_ids
        queries = [
            Query(text=text, track=every[:3], without=frozenset(without))
            for text in texts
            for without in data.draw(st.lists(st.sets(st.sampled_from(every), max_size=2), max_size=3))
        ]
        together = search(retriever, queries, top_k)
        alone = [search(retriever, [query], top_k)[0] for query in queries]
        assert all(map(same, together, alone)) and len(together) == len(queries)
        assert search(retriever, queries, top_k) == together, "and the same again"

    def test_concurrent_searches_do_not_disturb_one_another(self, retriever: Retriever) -> None:
        every = retriever.pages.page_ids
        batches = [
            [Query(text=f"{WORDS[n % 9]} {WORDS[n % 7]}", track=every[:2], without=frozenset(every[: n % 3]))]
            for n in range(64)
        ]

        async def together() -> list[list[Ranking]]:
            return await asyncio.gather(*(retriever.search(batch, 3) for batch in batches))

        for batch, (found,) in zip(batches, asyncio.run(together()), strict=True):
            assert same(found, search(retriever, batch, 3)[0])

    @pytest.mark.parametrize("text", ["save", "", "unknown"])
    def test_pages_and_documents_that_are_not_there_are_refused(
        self, retriever: Retriever, text: str
    ) -> None:
        for query in (
            Query(text=text, track=("nowhere#9",)),
            Query(text=text, without=frozenset({"nowhere#9"})),
        ):
            with pytest.raises(InputError, match="'nowhere#9' is not in the index"):
                search(retriever, [query], 3)
        with pytest.raises(InputError, match="'nowhere' has no page in the index"):
            search(retriever, [Query(text=text, scope="nowhere")], 3)
        with pytest.raises(InputError, match="top_k must be 0 or more, not -1"):
            search(retriever, [Query(text=text)], -1)

    @pytest.mark.parametrize("text", ["", "  ", "\x00", "\n\t"])
    def test_a_query_without_a_word_finds_nothing(self, retriever: Retriever, text: str) -> None:
        every = retriever.pages.page_ids
        (found,) = search(retriever, [Query(text=text, track=every)], 3)
        assert found.hits == () and found.tracked == (None,) * len(every)

    def test_no_query_has_no_ranking(self, retriever: Retriever) -> None:
        assert search(retriever, [], 3) == []

    @laws
    @given(text=st.one_of(st.sampled_from(HOSTILE), st.text()))
    def test_whatever_is_searched_is_answered_in_order(self, retriever: Retriever, text: str) -> None:
        (found,) = search(retriever, [Query(text=text, track=retriever.pages.page_ids[:1])], 3)
        assert [hit.rank for hit in found.hits] == list(range(1, len(found.hits) + 1))
        for hit in found.hits:
            assert len(retriever.pages.snippet(hit.page_id, text, 20)) <= 20

    @pytest.mark.parametrize("name", CORPORA)
    def test_the_pages_are_those_that_were_given(self, retrievers: dict[str, Retriever], name: str) -> None:
        pages, texts = retrievers[name].pages, CORPORA[name]
        assert pages.page_ids == tuple(texts) and len(pages) == len(texts)
        assert {page_id: pages.text(page_id) for page_id in pages.page_ids} == texts
        assert next(iter(texts)) in pages and "nowhere#9" not in pages
        for page_id, text in texts.items():
            snippet = pages.snippet(page_id, "save the graph", 30)
            assert snippet in " ".join(text.split()) and len(snippet) <= 30 and bool(snippet) == bool(text)
            assert pages.snippet(page_id, "save", 0) == ""
        for look_up in (pages.text, lambda page_id: pages.snippet(page_id, "save", 9)):
            with pytest.raises(InputError, match="'nowhere#9' is not in the index"):
                look_up("nowhere#9")

    def test_a_fingerprint_stands_for_its_pages(
        self, retrievers: dict[str, Retriever], tmp_path: Path
    ) -> None:
        assert len({retriever.fingerprint for retriever in retrievers.values()}) == len(CORPORA)
        again = self.build(tmp_path, CORPORA["ties"])
        assert again.fingerprint == retrievers["ties"].fingerprint


def search(retriever: Retriever, queries: Sequence[Query], top_k: int) -> list[Ranking]:
    """One batch, from code without an event loop."""
    return asyncio.run(retriever.search(queries, top_k))
