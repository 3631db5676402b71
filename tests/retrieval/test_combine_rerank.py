"""Reranking: the laws of retrievers, what comes first and after, and what scores."""

from __future__ import annotations

import json
import sys

import pytest
from combine_lab import make_world, toy
from conformance import RetrieverConformance, search
from dense_lab import small_model

from drag_rl.errors import InputError
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.retrieval.combine.model_scorer import ModelScorer
from drag_rl.retrieval.combine.rerank import RerankedRetriever, RerankIndex
from drag_rl.retrieval.combine.scorer import PageScorer, RankScorer


class ByLength:
    """Prefers short pages, and gives equal scores."""

    def __init__(self, pages):
        self.pages, self.asked = pages, []

    async def score(self, query, page_ids):
        self.asked.append((query, tuple(page_ids)))
        return [-float(len(self.pages.text(page_id)) // 10) for page_id in page_ids]


@pytest.mark.slow
class TestRerankedOfFewCandidates(RetrieverConformance):
    scope_keeps_order = False

    def build(self, folder, texts):
        del folder
        first = toy(texts, 16)
        return RerankedRetriever(
            first, ByLength(first.pages), f"by length, {first.fingerprint}", candidates=5
        )


@pytest.mark.slow
class TestRerankedByRanks(RetrieverConformance):
    scope_keeps_order = False

    def build(self, folder, texts):
        del folder
        first, other = toy(texts, 5), toy(texts, 64)
        return RerankedRetriever(first, RankScorer(other), f"by ranks, {first.fingerprint}")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("rerank"))


def reranked(world, scorer=None, candidates=3):
    first = open_retriever(world / "words")
    scorer = scorer or ByLength(first.pages)
    return first, scorer, RerankedRetriever(first, scorer, "reranked", candidates=candidates)


def test_candidates_are_put_in_order_and_the_others_follow(world):
    first, scorer, index = reranked(world)
    text = "save a package graph of files"
    query = Query(text=text, track=tuple(first.pages.page_ids))
    (before,), (after,) = search(first, [query], 9), search(index, [query], 9)
    ids = [hit.page_id for hit in before.hits]
    assert len(ids) == 5 and scorer.asked == [(text, tuple(ids[:3]))]
    lengths = {page_id: len(first.pages.text(page_id)) // 10 for page_id in ids[:3]}
    expected = sorted(ids[:3], key=lambda page_id: (lengths[page_id], first.pages.row(page_id))) + ids[3:]
    assert [hit.page_id for hit in after.hits] == expected
    assert after.tracked == tuple(
        expected.index(page_id) + 1 if page_id in expected else None for page_id in first.pages.page_ids
    )
    assert after.exact_to is None
    worst, *beyond = (hit.score for hit in after.hits[2:])
    assert beyond == [worst - 1, worst - 2]
    assert search(index, [query], 0)[0].tracked == after.tracked


def test_queries_of_one_text_are_scored_once(world):
    _, scorer, index = reranked(world)
    queries = [Query(text="graph"), Query(text="graph", without=frozenset({"doc#3"})), Query(text="zebra")]
    whole, rest, nothing = search(index, queries, 5)
    assert len(scorer.asked) == 1
    assert [hit.page_id for hit in rest.hits] == [h.page_id for h in whole.hits if h.page_id != "doc#3"]
    assert nothing.hits == ()


def test_a_score_that_is_no_number_ends_the_search(world):
    class Broken:
        async def score(self, query, page_ids):
            del query
            return [float("nan") for _ in page_ids]

    _, _, index = reranked(world, Broken())
    with pytest.raises(RuntimeError, match=r"score of page 'doc#.' is no finite number"):
        search(index, [Query(text="graph")], 5)


def test_a_second_index_ranks_the_candidates(world, tmp_path):
    words, other = world / "words", world / "other"
    options = {"part": (str(words), str(other)), "candidates": 4}
    _, built = build_index(None, tmp_path / "reranked", "rerank", **options)
    assert built and not build_index(None, tmp_path / "reranked", "rerank", **options)[1]
    query = [Query(text="save a package graph of files")]
    first, second, index = map(open_retriever, (words, other, tmp_path / "reranked"))
    candidates = {hit.page_id for hit in search(first, query, 4)[0].hits}
    ranked = [hit.page_id for hit in search(second, query, 9)[0].hits if hit.page_id in candidates]
    assert [hit.page_id for hit in search(index, query, 4)[0].hits] == ranked
    assert json.loads((tmp_path / "reranked/rerank.json").read_text())["candidates"] == 4


def test_an_index_that_scores_pages_itself_is_asked_for_its_scores(world):
    from drag_rl.retrieval.combine.rerank import _scorer

    class Late(ByLength):
        async def search(self, queries, top_k): ...

    first = open_retriever(world / "words")
    late = Late(first.pages)
    assert isinstance(late, PageScorer) and _scorer(first.pages, [first, late], {"model": ""}) is late


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--kind rerank needs one --part and a --model, or two --part"),
        ({"part": ("a", "b", "c")}, "--kind rerank needs one --part and a --model, or two --part"),
        ({"part": ("a", "b"), "model": "m"}, "--kind rerank needs one --part and a --model, or two --part"),
        ({"part": ("a",), "model": "m", "candidates": 0}, "--candidates must be 1 or more, not 0"),
        ({"part": ("a",), "model": "m", "batch_size": 0}, "--batch-size must be 1 or more, not 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        RerankIndex(**options)


def small_cross_encoder(folder):
    """A cross-encoder of random weights with the words of MiniLM, saved in ``folder``."""
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(small_model())
    settings = {"vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_labels": 1}
    config = BertConfig(**settings, num_hidden_layers=1, num_attention_heads=2, initializer_range=0.5)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CrossEncoder(str(folder)).save_pretrained(str(folder / "saved"))
    return folder / "saved"


@pytest.mark.slow
class TestRerankedByMiniLM(RetrieverConformance):
    scope_keeps_order = False

    def build(self, folder, texts):
        del folder
        first = toy(texts, 16)
        scorer = ModelScorer(first.pages, small_model())
        return RerankedRetriever(first, scorer, f"MiniLM, {first.fingerprint}", candidates=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["embedder", "cross-encoder"])
def test_a_model_scores_as_sentence_transformers_does(world, tmp_path, kind):
    model = small_model() if kind == "embedder" else str(small_cross_encoder(tmp_path / "model"))
    options = {"part": (str(world / "words"),), "model": model, "candidates": 4}
    manifest, built = build_index(None, tmp_path / "reranked", "rerank", **options)
    assert built and not build_index(None, tmp_path / "reranked", "rerank", **options)[1]
    assert "sentence-transformers" in manifest.versions
    index = open_retriever(tmp_path / "reranked", world / "pages")
    text = "save a package graph of files"
    (first,), (found,) = (
        search(one, [Query(text=text)], 4) for one in (open_retriever(world / "words"), index)
    )
    texts = {hit.page_id: index.pages.text(hit.page_id) for hit in first.hits}
    expected = dict(zip(texts, scores_by_hand(model, kind, text, list(texts.values())), strict=True))
    assert {hit.page_id: hit.score for hit in found.hits} == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert [hit.page_id for hit in found.hits] == sorted(expected, key=expected.get, reverse=True)
    assert len(set(expected.values())) == 4


def scores_by_hand(model, kind, text, pages):
    """What transformers says of each pair, or each text, alone."""
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    with torch.inference_mode():
        if kind == "cross-encoder":
            reader = AutoModelForSequenceClassification.from_pretrained(model).eval()
            return [float(reader(**tokenizer(text, page, return_tensors="pt")).logits) for page in pages]
        encoder = AutoModel.from_pretrained(model).eval()

        def embedded(words):
            states = encoder(**tokenizer(words, return_tensors="pt")).last_hidden_state[0]
            return torch.nn.functional.normalize(states.mean(0), dim=0)

        return [float(embedded(text) @ embedded(page)) for page in pages]


@pytest.mark.slow
def test_a_model_that_has_changed_or_that_gives_no_single_score_is_refused(world, tmp_path):
    from transformers import AutoConfig

    model = small_cross_encoder(tmp_path / "model")
    build_index(None, tmp_path / "reranked", "rerank", part=(str(world / "words"),), model=str(model))
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(settings | {"note": "changed"}))
    with pytest.raises(InputError, match=r"saved: has changed since .*reranked was made with it"):
        open_retriever(tmp_path / "reranked")
    config = AutoConfig.from_pretrained(model)
    config.num_labels = 3
    config.save_pretrained(model)
    for name, message in (
        (str(model), "cannot be loaded|gives 3 scores for a page; a reranker gives one"),
        (str(tmp_path / "nothing"), "nothing: cannot be loaded"),
    ):
        with pytest.raises(InputError, match=message):
            build_index(None, tmp_path / "other", "rerank", part=(str(world / "words"),), model=name)


def test_the_extra_that_is_missing_is_named(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(
        InputError, match=r"--model needs sentence-transformers: pip install 'drag-rl\[retrieval\]'"
    ):
        ModelScorer(open_retriever(world / "words").pages, "some/model")
