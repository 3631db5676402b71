"""The oracles are bounds: nothing of their kind does better."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import trajectory_lab as lab
from hypothesis import given, settings
from hypothesis import strategies as st
from test_baselines import queries, run
from tiny_corpus import index_of

from drag_rl.episode import EpisodeConfig
from drag_rl.metrics.measure import measure
from drag_rl.types import Question, Trajectory


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return lab.make_index(tmp_path_factory.mktemp("oracles"))


@settings(max_examples=30)
@given(
    question=st.sampled_from(lab.QUESTIONS),
    words=st.lists(st.sampled_from([*lab.WORDS, "inspect"]), min_size=1, max_size=4),
    top_k=st.integers(1, 4),
    turns=st.integers(1, 4),
)
def test_oracle_depth_succeeds_exactly_where_the_question_ranks_gold_within_its_budget(
    index, question, words, top_k, turns
):
    question = replace(question, text=" ".join(words))
    config = EpisodeConfig(max_turns=turns, top_k=top_k)
    outcome = run("oracle-depth", index, question, config)
    [rank] = index.search(question.text, 1, question.gold_page_ids, snippet_chars=0).gold_ranks
    [row] = measure([Trajectory(outcome=outcome)])
    assert row["success"] == float(rank is not None and rank <= turns * top_k)
    if row["success"]:
        assert row["iterations_to_success"] == -(-rank // top_k)
    shown = [hit.page_id for turn in outcome.searches for hit in turn.hits]
    best = [hit.page_id for hit in index.search(question.text, turns * top_k, snippet_chars=0).hits]
    assert shown == best[: len(shown)]
    assert row["first.mrr"] == (1 / rank if rank else 0.0)


@settings(max_examples=30)
@given(
    question=st.sampled_from(lab.QUESTIONS),
    words=st.lists(st.sampled_from([*lab.WORDS, "inspect"]), min_size=1, max_size=5, unique=True),
    expand=st.booleans(),
)
def test_oracle_words_says_again_what_helps_and_is_never_below_the_question_or_one_more_word(
    index, question, words, expand
):
    question = replace(question, text=" ".join(words))
    config = EpisodeConfig(max_turns=1, answer=False, expand_question=expand)
    outcome = run("oracle-words", index, question, config)
    [query] = queries(outcome)
    assert set(query.split()) <= set(words)
    added = Counter(question.searched(query, expand=expand).split())
    assert all(1 <= added[word] <= 2 for word in words)

    def rank(text):
        return index.search(text, 1, question.gold_page_ids, snippet_chars=0).gold_ranks[0] or 10**6

    [reached] = outcome.searches[0].gold_ranks
    tried = [question.text, *(f"{question.text} {word}" for word in words)]
    assert (reached or 10**6) <= min(map(rank, tried))


def test_oracle_words_is_what_a_question_with_a_misleading_word_lacks(tmp_path):
    noise = [f"page {number} of the manual" for number in range(10)]
    index = index_of(tmp_path, ["a rotor", "wax on the lid", *noise])
    question = Question(question_id="q", text="rotor, wax, lid", gold_page_ids=("doc#1",))
    config = EpisodeConfig(max_turns=1, answer=False, expand_question=True)
    assert index.search(question.text, 1, ["doc#1"], snippet_chars=0).gold_ranks == (2,)
    outcome = run("oracle-words", index, question, config)
    assert queries(outcome) == ["rotor"] and outcome.searches[0].gold_ranks == (1,)
