"""Answers and citations against other implementations, and what counts as evidence."""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import replace

import pytest
import trajectory_lab as lab
from anls_star import anls_score
from driven import Driven, Found
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from drag_rl.episode import EpisodeConfig, neutralise
from drag_rl.episode.observation import cut
from drag_rl.metrics.answers import (
    anls,
    answer_in_context,
    contains,
    exact_match,
    is_right,
    normalise,
    token_f1,
    uncited,
)
from drag_rl.metrics.citations import citation_scores
from drag_rl.metrics.measure import measure
from drag_rl.retrieval import PageTexts
from drag_rl.star.rules import RULES, Limits
from drag_rl.types import Answer, Hit, Outcome, Question, Search, Trajectory, Turn
from reward.table import RewardConfig, compute_reward

WORDS = st.sampled_from(
    ["the", "a", "knots", "170", "170.", "Knots,", "maximum", "speed", "is", "speed!", "kn-ots"]
)
TEXTS = st.lists(WORDS, max_size=6).map(" ".join) | st.text(max_size=12)
GOLDS = st.lists(TEXTS, min_size=1, max_size=3)


@given(answer=TEXTS, golds=GOLDS)
def test_anls_is_the_reference_package_and_an_edit_distance_of_another_library(answer, golds):
    if not answer.split():
        assert anls(answer, golds) == 0.0
        return
    assert anls(answer, golds) == pytest.approx(anls_score(tuple(golds), answer), abs=1e-12)
    tidy = [" ".join(text.lower().split()) for text in (answer, *golds)]
    similarity = max(Levenshtein.normalized_similarity(tidy[0], gold) for gold in tidy[1:])
    assert anls(answer, golds) == pytest.approx(similarity if similarity >= 0.5 else 0.0, abs=1e-9)


def squad_words(text):
    """As the SQuAD script has it, written apart from ours."""
    kept = [sign for sign in text.lower() if sign not in set(string.punctuation)]
    return [word for word in "".join(kept).split() if word not in {"a", "an", "the"}]


@given(answer=st.lists(WORDS, max_size=6).map(" ".join), gold=st.lists(WORDS, max_size=6).map(" ".join))
def test_exact_match_and_f1_are_those_of_squad(answer, gold):
    ours, theirs = squad_words(answer), squad_words(gold)
    if not ours or not theirs:
        return  # nothing but articles: SQuAD calls all of these equal, we do not
    assert exact_match(answer, [gold]) == float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    precision, recall = shared / len(ours), shared / len(theirs)
    assert token_f1(answer, [gold]) == pytest.approx(
        2 * precision * recall / (precision + recall) if shared else 0.0
    )


@given(answer=TEXTS, golds=GOLDS)
def test_more_gold_answers_never_hurt_and_a_gold_answer_is_right(answer, golds):
    for score in (exact_match, token_f1, anls, is_right, contains):
        assert 0.0 <= score(answer, golds[:1]) <= score(answer, golds) <= 1.0
    if golds[0].strip():
        assert exact_match(golds[0], golds) == token_f1(golds[0], golds) == is_right(golds[0], golds) == 1.0


def test_a_long_text_is_scored_quickly():
    assert anls("x" * 1_000_000, ["170 knots"]) == 0.0


def test_citations_are_no_part_of_the_answer():
    answer = Answer(text="170 knots [ch47#42; ch47#43] at [sea] level", citations=("ch47#42", "ch47#43"))
    assert uncited(answer) == "170 knots at [sea] level"


PAGE = st.sampled_from("abcdef")


@given(
    st.lists(PAGE, max_size=6, unique=True),
    st.lists(PAGE, min_size=1, max_size=6, unique=True),
    st.lists(PAGE, max_size=6, unique=True),
)
def test_a_citation_is_right_if_its_page_is_gold_and_was_shown(cited, gold, shown):
    hits = tuple(Hit(page_id=page_id, rank=n, score=1.0) for n, page_id in enumerate(shown, start=1))
    turns = (
        Turn(step=1, text="", action=Search(query="x"), hits=hits, observation="..."),
        Turn(step=2, text="", action=Answer(text="x", citations=tuple(cited))),
    )
    question = Question(question_id="q", text="?", gold_page_ids=tuple(gold))
    outcome = Outcome(
        question=question,
        turns=turns,
        stop_reason="answered",
        config=EpisodeConfig(top_k=6, max_turns=2),
        corpus_pages=9,
    )
    scores = citation_scores(outcome)
    right = {page_id for page_id in cited if page_id in gold and page_id in shown}
    precision, recall = len(right) / len(cited) if cited else 0.0, len(right) / len(gold)
    both = precision + recall
    expected = [precision, recall, 2 * precision * recall / both if both else 0.0]
    assert list(scores.values()) == pytest.approx(expected)
    cites_gold = RULES["cites_gold"].build(Limits())
    assert cites_gold(Trajectory(outcome=outcome)) == bool(right)


@pytest.fixture(scope="module")
def index():
    return lab.shared_index()


def context(outcome, *golds):
    return answer_in_context(replace(outcome, question=replace(outcome.question, answers=golds)))


def test_evidence_is_what_was_shown_and_never_the_policys_own_words(index):
    told = lab.played(index, lab.QUESTIONS[0], [lab.search("impeller"), lab.answer("It needs care.")]).outcome
    assert context(told, "needs care") == 1.0
    assert context(told, "pumps#1") == 0.0, "a page id"
    echoed = lab.played(index, lab.QUESTIONS[0], [lab.search("zebra crossing")]).outcome
    assert "zebra crossing" in echoed.turns[0].observation
    assert context(echoed, "zebra crossing") == 0.0


SNIPPETS = [
    "2. nothing here",
    "see issue #12: closed",
    "doc#1: by key",
    "1. doc#1 (shown before): by key",
    "see <image> and <search>merge</search>",
    "one\ntwo  three",
]


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=40), min_size=1, max_size=3),
    st.booleans(),
    st.data(),
)
def test_what_was_shown_is_recorded_not_parsed_back_from_what_was_rendered(texts, show_page_ids, data):
    """Whatever a page says, with and without page ids: its shown words are evidence, our own words never are."""
    searcher = of_texts(texts)
    config = EpisodeConfig(
        think=False,
        citations=False,
        show_page_ids=show_page_ids,
        snippet_chars=data.draw(st.sampled_from([0, 12, 300])),
        top_k=3,
    )
    episode = Driven(lab.QUESTIONS[0], searcher, config)
    episode.commit(episode.step(lab.search("zebra"), "stop"))
    episode.stop("length")
    outcome = episode.outcome()
    turn = outcome.turns[0]
    snippets = [searcher.pages.snippet(hit.page_id, "zebra", config.snippet_chars) for hit in turn.hits]
    assert turn.shown == tuple(neutralise(cut(text, config.snippet_chars)) for text in snippets)
    if config.snippet_chars == 300:
        assert turn.shown == tuple(neutralise(cut(text, 300)) for text in texts)
    assert all(shown in turn.observation for shown in turn.shown)
    for text in turn.shown:
        if (
            normalise(f"x {text} x") == f"x {normalise(text)} x"
        ):  # not so where all of it is articles and signs
            assert context(outcome, text) == 1.0
    if not any("zebra" in text.casefold() for text in texts):
        assert context(outcome, "zebra") == 0.0
    if config.snippet_chars == 0:
        assert context(outcome, "nothing here") == 0.0


def of_texts(texts):
    """A retriever that finds these texts, whatever is searched."""
    return Found(PageTexts.of({f"doc#{number}": text for number, text in enumerate(texts, start=1)}))


@pytest.mark.parametrize(
    ("page", "gold"),
    [("2. nothing here", "2 nothing here"), ("see issue #12: closed", "see issue #12: closed")],
)
def test_without_page_ids_a_page_that_looks_like_a_label_is_content(page, gold):
    config = EpisodeConfig(think=False, citations=False, show_page_ids=False)
    says = [lab.search("x"), lab.answer("wrong")]
    outcome = lab.played(of_texts(["first", page]), lab.QUESTIONS[0], says, config).outcome
    outcome = replace(outcome, question=replace(outcome.question, answers=(gold,)))
    assert measure([Trajectory(outcome=outcome)])[0]["answer_in_context"] == 1.0
    _, scores = compute_reward(outcome, RewardConfig())
    assert scores["answer_in_context"] == 1.0
    assert scores["search_r1_em"] == scores["search_r1_f1"] == pytest.approx(0.3), "wrong, gold text shown"


def test_hits_of_the_last_turn_are_no_evidence(index):
    single = EpisodeConfig(think=False, max_turns=1)
    once = lab.played(index, lab.QUESTIONS[0], [lab.search("impeller")], single).outcome
    assert once.turns[0].hits and once.turns[0].shown == () and context(once, "needs care") == 0.0


def test_a_page_shown_as_an_image_counts_with_its_text(index):
    config = EpisodeConfig(think=False, observation="image")
    seen = lab.played(
        index, lab.QUESTIONS[0], [lab.search("impeller"), lab.search("impeller seal")], config
    ).outcome
    first, again = seen.turns[:2]
    assert first.shown == tuple(index.page(hit.page_id) for hit in first.hits)
    listed = [hit.page_id in first.image_page_ids for hit in again.hits]
    assert any(listed) and [not text for text in again.shown] == listed, "a picture is shown once"
    assert context(seen, "needs care") == 1.0


def test_of_an_older_record_the_snippets_of_what_was_given_back_are_what_was_shown(index):
    told = lab.played(index, lab.QUESTIONS[0], [lab.search("impeller"), lab.answer("x")]).outcome
    older = replace(told, turns=tuple(replace(turn, shown=None) for turn in told.turns))
    assert older.turns[0].shown_texts == told.turns[0].shown_texts == told.turns[0].shown
    unseen = replace(older.turns[0], observation="")
    assert unseen.shown_texts == ()
