"""Facts of an outcome: asking again is a repetition only where it shows nothing new, and ranks say what they count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trajectory_lab as lab

from drag_rl.episode import EpisodeConfig
from drag_rl.types import Hit, Malformed, Search, Turn


def episode(says, **config):
    config = EpisodeConfig(max_turns=len(says), answer=False, think=False, **config)
    return lab.played(
        lab.shared_index(), lab.QUESTIONS[0], [lab.search(query) for query in says], config
    ).outcome


@pytest.mark.parametrize(
    ("says", "repeat_pages", "repeated"),
    [
        (["impeller care", "Care  impeller", "seal"], True, (False, True, False)),
        (["care", "care", "care"], True, (False, True, True)),
        # Ten new pages a search: the same words read on, until the twenty pages that hold them are spent.
        (["care", "care", "care"], False, (False, False, True)),
        (["zebra", "zebra"], False, (False, True)),
    ],
)
def test_the_same_words_repeat_a_search_unless_they_read_on(says, repeat_pages, repeated):
    assert episode(says, top_k=10, repeat_pages=repeat_pages).repeated == repeated


def test_the_policy_is_told_that_it_repeats_a_search_where_it_is_counted_as_one():
    outcome = episode(["impeller care", "Care  impeller", "seal"])
    told = ["made this search before" in turn.observation for turn in outcome.turns]
    assert told == [
        repeated and turn.step < 3 for turn, repeated in zip(outcome.turns, outcome.repeated, strict=True)
    ]
    assert told[1]


def test_ranks_over_the_whole_corpus_count_what_was_listed_before():
    outcome = episode(["packing", "impeller", "zebra"], repeat_pages=False)
    assert [turn.gold_rank for turn in outcome.turns] == [3, None, None]
    assert [outcome.corpus_ranks(turn) for turn in outcome.turns] == [(3,), (1,), (None,)]
    assert outcome.solved and outcome.first_find is outcome.turns[0] and outcome.best_gold_rank == 3
    older = replace(outcome, turns=tuple(replace(turn, corpus_ranks=None) for turn in outcome.turns))
    assert [older.corpus_ranks(turn) for turn in older.turns] == [(3,), None, None]
    repeating = replace(older, config=older.config.model_copy(update={"repeat_pages": True}))
    assert [repeating.corpus_ranks(turn) for turn in repeating.turns] == [
        turn.gold_ranks for turn in outcome.turns
    ]


def test_pages_are_shown_only_if_something_was_given_back():
    hit = Hit(page_id="a#1", rank=1, score=1.0, snippet="text")
    last = Turn(step=1, text="", action=Search(query="x"), hits=(hit,), gold_ranks=(1,))
    assert last.shown_page_ids == last.shown_texts == ()
    assert replace(last, observation="1. a#1: text").shown_page_ids == ("a#1",)
    assert replace(last, observation="1. a#1", shown=("",)).shown_texts == ("",)
    assert Turn(step=1, text="", action=Malformed(reason="?"), observation="No action.").shown_texts == ()


@pytest.mark.parametrize(("turns", "answer", "asked"), [(1, True, False), (2, True, True), (2, False, False)])
def test_whether_an_answer_was_asked_for_is_part_of_the_outcome(turns, answer, asked):
    config = EpisodeConfig(max_turns=turns, answer=answer, think=False)
    outcome = lab.played(lab.shared_index(), lab.QUESTIONS[0], [lab.search("seal")] * 2, config).outcome
    assert outcome.answer_asked == asked
