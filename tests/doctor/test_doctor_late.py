"""The doctor on indexes that see page images, and on those of two stages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from colour_pages import COLOURS, ColourRetriever, SeesColours, page_image
from late_lab import MODEL, tiles_installed, write_pages

from drag_rl.doctor import index as index_checks
from drag_rl.doctor import late
from drag_rl.doctor.check import Doubt
from drag_rl.doctor.examine import examine_parts
from drag_rl.doctor.rewards import sample_rewards
from drag_rl.doctor.searching import gold_reachable
from drag_rl.doctor.setup import SetUp
from drag_rl.errors import InputError
from drag_rl.questions import write_questions
from drag_rl.retrieval import Query, build_index
from drag_rl.retrieval.combine.rerank import RerankedRetriever
from drag_rl.retrieval.late.embedder import PageVectors
from drag_rl.types import Question
from reward.table import RewardConfig

WORDS = ("fox", "whale", "tree", "leaf", "rotor", "seal")
IMAGES = {f"{name}#1": page_image({(number % 4, number % 3): name}) for number, name in enumerate(COLOURS)}
QUESTIONS = [
    Question(question_id=name, text=f"the {name} one", gold_page_ids=(f"{name}#1",)) for name in COLOURS
]
QUERIES = [Query(text=question.text, track=question.gold_page_ids) for question in QUESTIONS]
TEXTS = [query.text for query in QUERIES]


@pytest.fixture
def index():
    return ColourRetriever(IMAGES)


def test_an_index_that_sees_pages_is_told_from_one_of_texts(index):
    assert isinstance(index, late.SeesPages) and index_checks.embedders([index]) == []
    assert not isinstance(index, late.TwoStages)


def test_pages_have_images(index):
    images = []
    said = late.page_images(index, list(IMAGES), images)
    assert said.startswith("6 sample pages have an image, 96 x 128 pixels, 12 visual tokens each")
    assert len(images) == 6


def test_a_page_that_cannot_be_rendered_is_named(index):
    def page_image(page_id):
        raise InputError(f"page {page_id}: cannot be rendered")

    index.page_image = page_image
    with pytest.raises(InputError, match="page red#1: cannot be rendered"):
        late.page_images(index, list(IMAGES), [])


def test_a_model_that_works_is_well():
    said = late.model(SeesColours(), list(IMAGES.values()), TEXTS)
    assert said.startswith("8 numbers a vector, 12 vectors a page, ")
    assert said.endswith("a batch equals single pages and queries")


class Drifts(SeesColours):
    """A page's vectors depend on how many pages are read together."""

    def embed_pages(self, images):
        return [
            PageVectors(vectors=np.roll(page.vectors, len(images), axis=1), grid=page.grid)
            for page in super().embed_pages(images)
        ]


class Blind(SeesColours):
    """Sees the same in every page, as a model whose prompt wins every MaxSim."""

    def embed_pages(self, images):
        return super().embed_pages([page_image({})] * len(images))


class Long(SeesColours):
    def embed_pages(self, images):
        return [PageVectors(vectors=2 * page.vectors, grid=page.grid) for page in super().embed_pages(images)]


class Wide(SeesColours):
    width = 128


class Pooled(SeesColours):
    def visual_tokens(self, width, height):
        return super().visual_tokens(width, height) // 2


class Mute(SeesColours):
    def embed_queries(self, texts):
        return [vectors[:-1] for vectors in super().embed_queries(texts)]


@pytest.mark.parametrize(
    ("embedder", "said"),
    [
        (Drifts(), "has other vectors in a batch than alone"),
        (Blind(), "all sample pages score alike for every query"),
    ],
)
def test_a_model_that_would_teach_nothing_is_doubted(embedder, said):
    found = late.model(embedder, list(IMAGES.values()), TEXTS)
    assert isinstance(found, Doubt) and said in found.detail


@pytest.mark.parametrize(
    ("embedder", "said"),
    [
        (Long(), "a page has a vector of length 2, not 1"),
        (Wide(), r"vectors of shape \(12, 8\), not of 128 numbers each"),
        (Pooled(), "a page has 12 vectors for a grid of 4 x 3 where 6 were reckoned"),
        (Mute(), "more or fewer vectors than tokens"),
    ],
)
def test_a_model_that_does_not_fit_fails(embedder, said):
    with pytest.raises(InputError, match=said):
        late.model(embedder, list(IMAGES.values()), TEXTS)


class Coarse(ColourRetriever):
    """Finds the worst pages, as a prefilter that keeps the wrong ones."""

    async def search(self, queries, top_k):
        found = await super().search(queries, len(self.pages))
        for ranking in found:
            object.__setattr__(ranking, "hits", ranking.hits[::-1][:top_k])
        return found


def test_a_prefilter_is_held_against_exact_scores(index, monkeypatch):
    monkeypatch.setattr(late, "PREFILTER_DEPTH", 2)
    assert late.prefilter(index, QUERIES) == "6 queries find 100.0% of the exact best 2 pages"
    found = late.prefilter(Coarse(IMAGES), QUERIES)
    assert isinstance(found, Doubt) and "--rescore-ratio" in found.detail and "find 0.0%" in found.detail
    monkeypatch.setattr(late, "EXACT_SCORES", 12)
    assert late.prefilter(index, QUERIES).startswith("2 queries find")
    monkeypatch.setattr(late, "EXACT_SCORES", 5)
    assert late.prefilter(index, QUERIES).startswith("not measured: 6 pages are too many")


def test_candidates_that_reach_gold_are_counted_and_reranking_that_harms_is_said(index):
    coarse = Coarse(IMAGES)
    good = RerankedRetriever(index, index, "good", candidates=3)
    found = late.candidates(good, QUESTIONS, 1)
    assert isinstance(good, late.TwoStages)
    assert found == (
        "a gold page is among the first stage's 3 candidates for 100.0% of the questions, in the top 1 for 100.0% by "
        "the first stage and for 100.0% after reranking"
    )

    class Backwards:
        async def score(self, query, page_ids):
            return [-score for score in await index.score(query, page_ids)]

    worse = late.candidates(RerankedRetriever(index, Backwards(), "worse", candidates=3), QUESTIONS, 1)
    assert isinstance(worse, Doubt) and "reranking does harm here" in worse.detail
    other = [Question(question_id="q", text="the red one", gold_page_ids=("blue#1",))]
    missed = late.candidates(RerankedRetriever(coarse, index, "missed", candidates=1), other, 1)
    assert isinstance(missed, Doubt) and "give more --candidates" in missed.detail


def test_pages_without_text_are_looked_for_by_their_question(index):
    assert gold_reachable(index, QUESTIONS) == (
        "6 gold pages are found by the rarest words of their own text, or by their question where they have none, 6 of "
        "them first"
    )


def test_of_pages_without_text_the_question_is_rewarded_and_another_is_not(index):
    set_up = SetUp(reward=RewardConfig(weights={"reciprocal_rank": 1.0}))
    said = sample_rewards(QUESTIONS, index, set_up)
    assert said.startswith("reciprocal_rank=1, best search: the question 1.000, without stop words 1.000, ")
    assert said.endswith(
        "its gold page's words (of a page without text, the question) 1.000, another page's words (of one without "
        "text, another question) 0.375; 100% of the questions tell them apart"
    )
    swapped = [replace(question, text=QUESTIONS[place - 3].text) for place, question in enumerate(QUESTIONS)]
    doubted = sample_rewards(swapped, index, set_up)
    assert isinstance(doubted, Doubt) and "earn no more than another page's" in doubted.detail
    assert doubted.detail.endswith("whether the index sees what is asked for: drag search --explain")
    texts = dict.fromkeys(IMAGES, "") | {"red#1": "a red one", "blue#1": "a blue one"}
    assert "its gold page's words (of a page" in sample_rewards(
        QUESTIONS, ColourRetriever(IMAGES, texts), set_up
    )


@pytest.mark.slow  # every check, episodes of all probes included
def test_a_two_stage_index_of_page_images_is_well_in_every_check(tmp_path):
    texts = {f"doc#{number}": f"page {word} and {word}s" for number, word in enumerate(WORDS, start=1)}
    write_pages(tmp_path / "pages", texts)
    questions = [
        Question(question_id=word, text=f"{word} and", gold_page_ids=(f"doc#{number}",))
        for number, word in enumerate(WORDS, start=1)
    ]
    write_questions(tmp_path / "questions.parquet", questions, "train")
    with tiles_installed(tmp_path):
        build_index(tmp_path / "pages", tmp_path / "words")
        build_index(tmp_path / "pages", tmp_path / "late", "late", model=MODEL, pool=1)
        parts = (str(tmp_path / "words"), str(tmp_path / "late"))
        build_index(None, tmp_path / "best", "rerank", part=parts, candidates=3)
        set_up = SetUp(
            index=tmp_path / "best", pages=tmp_path / "pages", questions=(tmp_path / "questions.parquet",)
        )
        checks = {check.name: check for check in examine_parts(set_up)}
    assert {name: check.detail for name, check in checks.items() if not check.ok} == {}
    assert checks["index"].detail.startswith("rerank of bm25, late, 6 pages")
    seen = ["page images", "visual model", "prefilter", "candidates"]
    assert {name: checks[name].status for name in seen} == dict.fromkeys(seen, "ok")
    assert "embedder" not in checks
    assert checks["prefilter"].detail == "6 queries find 100.0% of the exact best 6 pages"
    assert "candidates for 100.0% of the questions" in checks["candidates"].detail
