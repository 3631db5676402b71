"""Baselines play the same episode as a model, within the same budget."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import trajectory_lab as lab
from hypothesis import given, settings
from hypothesis import strategies as st
from policies_lab import BASELINES, play_by_name
from tiny_corpus import index_of

from drag_rl.episode import EpisodeConfig
from drag_rl.policies.baselines.baseline import Baseline, shortened
from drag_rl.policies.baselines.relevance import feedback_query, relevance_model
from drag_rl.policies.play import play
from drag_rl.types import Answer, Malformed, Question, Search, StopReason

QUESTION = lab.QUESTIONS[0]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return lab.make_index(tmp_path_factory.mktemp("baselines"))


def run(name, index, question=QUESTION, config=lab.PLAIN):
    return play_by_name(name, index, question, config)


def queries(outcome):
    return [turn.action.query for turn in outcome.searches if isinstance(turn.action, Search)]


@pytest.mark.parametrize("action_format", ["xml", "tools"])
@pytest.mark.parametrize("name", BASELINES)
@settings(max_examples=15)
@given(
    text=st.text(min_size=1).filter(str.strip),
    turns=st.integers(1, 4),
    max_chars=st.sampled_from([0, 5, 200]),
)
def test_every_message_is_an_action_whatever_the_question(name, action_format, index, text, turns, max_chars):
    config = EpisodeConfig(action_format=action_format, max_turns=turns, max_query_chars=max_chars)
    outcome = run(name, index, replace(QUESTION, text=text + " <search> <|im_end|> impeller"), config)
    assert not any(isinstance(turn.action, Malformed) for turn in outcome.turns)
    assert outcome.searches and outcome.stop_reason in {StopReason.ANSWERED, StopReason.MAX_TURNS}
    assert outcome.stop_reason is StopReason.ANSWERED or turns == 1 or name == "oracle-depth"


def test_the_raw_question_is_asked_once_and_its_best_page_is_cited(index):
    outcome = run("raw-question", index)
    assert queries(outcome) == [QUESTION.text]
    assert outcome.answer is not None and outcome.answer.citations == (outcome.searches[0].hits[0].page_id,)


def test_a_question_that_is_too_long_is_shortened_to_the_words_that_fit(index):
    config = EpisodeConfig(max_query_chars=24)
    assert queries(run("raw-question", index, config=config)) == ["What does the handbook"]
    assert shortened("a" * 30, 24) == "a" * 24


def test_where_nothing_is_found_the_answer_says_so(index):
    outcome = run("raw-question", index, replace(QUESTION, text="zebra"))
    assert outcome.answer == Answer(text="No page found.")


def test_keywords_leave_stop_words_out_and_never_everything(index):
    assert queries(run("keywords", index)) == ["handbook say impeller?"]
    assert queries(run("keywords", index, replace(QUESTION, text="What is it?"))) == ["What is it?"]


def test_feedback_begins_with_the_question_and_learns_from_the_pages(tmp_path):
    noise = [f"page {number} of the manual" for number in range(40)]
    pages = ["rotor rotor imbalance vibrates vibration", "imbalance of a shaft: balance the rig", *noise]
    index = index_of(tmp_path, pages)
    question = Question(question_id="q", text="Why does the rotor shake?", gold_page_ids=("doc#2",))
    outcome = run("feedback", index, question, EpisodeConfig(top_k=1, max_turns=3))
    assert [turn.hits[0].page_id for turn in outcome.searches] == ["doc#1", "doc#1"]
    first, second = queries(outcome)
    assert first == question.text
    # P(w|R): rotor 2/5, vibrat 2/5 (as "vibrates" or "vibration"), imbalance 1/5; P(w|Q): why, does, rotor, shake 1/4.
    words = Counter(second.split())
    assert {*words} - {"vibrates", "vibration"} == {"rotor", "imbalance", "why", "does", "shake"}
    assert (words["rotor"], words["imbalance"], words["why"]) == (3, 1, 1)
    assert words["vibrates"] + words["vibration"] == 2
    assert outcome.searches[0].gold_ranks == (None,) and outcome.searches[1].gold_ranks == (2,)


def test_feedback_without_pages_or_words_has_nothing_to_say(index):
    assert feedback_query(index.pages, "zebra", (), 200) == ""
    hits = index.search("impeller", 3, snippet_chars=0).hits
    assert feedback_query(index.pages, "of the", hits, 200) == ""
    assert feedback_query(index.pages, "impeller", hits, 3) == ""


@given(
    pages=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("uvwxyz"), st.integers(1, 9), min_size=1), st.floats(0.1, 20)
        ),
        min_size=1,
        max_size=4,
    ),
    question=st.lists(st.sampled_from("wxyzq"), min_size=1, max_size=5),
    terms=st.integers(1, 8),
)
def test_rm3_is_its_formula(pages, question, terms):
    vocabulary = sorted({*question, *(term for counts, _ in pages for term in counts)})
    p_wd = np.array(
        [[counts.get(term, 0) / sum(counts.values()) for term in vocabulary] for counts, _ in pages]
    )
    score = np.array([score for _, score in pages])
    rm1 = (score / score.sum()) @ p_wd
    order = sorted(range(len(vocabulary)), key=lambda n: (-rm1[n], vocabulary[n]))[:terms]
    if len(set(np.round(rm1, 9))) < len(rm1):
        order = None  # equal probabilities may be cut off either way
    weights = relevance_model(pages, question, terms)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
    if order is not None:
        kept = np.isin(np.arange(len(vocabulary)), order)
        counts = Counter(question)
        asked = np.array([counts[term] / len(question) for term in vocabulary])
        expected = 0.5 * asked + 0.5 * np.where(kept, rm1, 0) / rm1[kept].sum()
        assert [weights.get(term, 0.0) for term in vocabulary] == pytest.approx(expected.tolist())


def test_where_pages_are_not_repeated_the_question_reads_on(index):
    question = replace(lab.QUESTIONS[0], text=" ".join(lab.WORDS[:3]))
    config = EpisodeConfig(max_turns=3, top_k=2, repeat_pages=False, answer=False)
    outcome = run("raw-question", index, question, config)
    shown = [hit.page_id for turn in outcome.searches for hit in turn.hits]
    assert len(outcome.searches) == 3
    assert shown == [hit.page_id for hit in index.search(question.text, 6, snippet_chars=0).hits]
    again = run("feedback", index, question, config)
    pages = [hit.page_id for turn in again.searches for hit in turn.hits]
    assert len(set(pages)) == len(pages)


@pytest.mark.parametrize("policy", ["raw-question", "oracle-depth"])
def test_baselines_that_read_the_questions_ranking_are_the_same_with_its_words_added(index, policy):
    config = EpisodeConfig(max_turns=3, top_k=2, repeat_pages=False, answer=False)
    expanding = config.model_copy(update={"expand_question": True})
    plain, outcome = (run(policy, index, lab.QUESTIONS[0], each) for each in (config, expanding))
    assert [turn.gold_ranks for turn in outcome.turns] == [turn.gold_ranks for turn in plain.turns]


def test_a_policy_sees_what_its_search_with_the_questions_words_found(index):
    seen = []

    class Gate(Baseline):
        async def query(self, state):
            seen.append([hit.page_id for turn in state.turns for hit in turn.hits])
            return "gate"

    question = replace(lab.QUESTIONS[0], text="seal cavitation")
    config = EpisodeConfig(max_turns=3, expand_question=True)
    outcome, _ = asyncio.run(play(question, Gate(index.retriever), index.retriever, config))
    pages = [hit.page_id for hit in outcome.turns[0].hits]
    assert seen == [[], pages]
    assert pages != [hit.page_id for hit in index.search("gate", 3, snippet_chars=0).hits]
