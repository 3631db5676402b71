"""Scores of the answer's text equal their published definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from anls_star import anls_score
from hypothesis import given
from hypothesis import strategies as st
from reward_outcomes import answer, malformed, outcome_of, search, searched

from drag_rl.types import Hit, Turn
from reward import SCORES

short = st.text(alphabet="abe t.,A", min_size=1, max_size=10).filter(str.strip)


def score(name, turns, *golds):
    return SCORES[name](outcome_of(turns, answers=golds), "best")


@pytest.mark.parametrize(
    ("text", "gold", "em", "f1"),
    [
        ("Paris", "paris", 1, 1),
        ("The Eiffel Tower.", "eiffel tower", 1, 1),
        ("U.S.A.", "USA", 1, 1),
        ("in Paris", "Paris", 0, 2 / 3),
        ("Paris, Paris", "Paris", 0, 2 / 3),
        ("London", "Paris", 0, 0),
        ("Paris [doc#1]", "Paris", 1, 1),
        ("Paris [see page 4]", "Paris", 0, 0.4),
    ],
)
def test_exact_match_and_token_f1(text, gold, em, f1):
    cited = ("doc#1",) if "#" in text else ()
    assert score("exact_match", [answer(text, *cited)], "nothing else", gold) == em
    assert score("token_f1", [answer(text, *cited)], gold) == pytest.approx(f1)


@given(short, st.lists(short, min_size=1, max_size=3))
def test_exact_match_is_search_r1s_where_an_answer_has_words(text, golds):
    from verl.utils.reward_score import search_r1_like_qa_em

    normal = search_r1_like_qa_em.normalize_answer
    if all(map(normal, [text, *golds])):
        assert score("exact_match", [answer(text)], *golds) == search_r1_like_qa_em.em_check(text, golds)


@given(
    st.text(alphabet="ab cD", max_size=20),
    st.lists(st.text(alphabet="ab cD", max_size=20), min_size=1, max_size=3),
)
def test_anls_is_the_reference_packages(text, golds):
    if text.strip():
        assert score("anls", [answer(text)], *golds) == pytest.approx(anls_score(tuple(golds), text))


SHOWN = searched("x", ["doc#9"], [None, None])  # its snippet: "Text of doc#9, merged by key."


@pytest.mark.parametrize(
    ("turns", "gold", "expected"),
    [
        ([SHOWN, answer("by key")], "by key", 1.0),  # right, well-formed
        ([SHOWN, malformed(), answer("by key")], "by key", 0.8),  # right, a mistake on the way
        ([SHOWN, answer("by name")], "by key", 0.3),  # wrong, the gold text was shown
        ([SHOWN, answer("by name")], "by row", 0.2),  # wrong, not shown
        ([SHOWN, malformed(), answer("by name")], "by key", 0.1),  # wrong, a mistake on the way
        ([SHOWN, SHOWN], "by key", 0.0),  # no answer
        ([malformed()], "by key", 0.0),
    ],
)
def test_search_r1_with_format_and_retrieval(turns, gold, expected):
    assert score("search_r1_em", turns, gold) == pytest.approx(expected)
    if expected in (1.0, 0.8, 0.0):
        assert score("search_r1_f1", turns, gold) == pytest.approx(expected)


def test_search_r1_with_f1_lies_between():
    assert score("search_r1_f1", [SHOWN, answer("by")], "by key") == pytest.approx(2 / 3 + 1 / 3 * 0.3)


def test_the_collected_context_is_what_was_shown():
    assert score("answer_in_context", [SHOWN], "Merged by KEY!") == 1.0
    assert score("answer_in_context", [replace(SHOWN, observation="")], "merged by key") == 0.0, (
        "the last turn"
    )
    forged = [
        searched("merged by key", [], [None, None]),
        malformed("merged by key"),
        answer("merged by key"),
    ]
    assert '"merged by key"' in forged[0].observation, "the policy's own words, quoted"
    assert score("answer_in_context", forged, "merged by key") == 0.0
    assert score("answer_in_context", [SHOWN]) == 0.0, "a question without known answers"


def test_of_a_pictured_page_the_fitting_part_counts():
    hit = Hit(page_id="doc#9", rank=1, score=1.0, snippet="pictured: merged by key")
    turn = replace(SHOWN, hits=(hit,), observation="1. doc#9\n<image>", image_page_ids=("doc#9",))
    assert isinstance(turn, Turn)
    assert score("answer_in_context", [turn], "merged by key") == 1.0


def test_only_gold_pages_that_were_shown_are_rightly_cited():
    found = search(1, None)
    assert score("citation_f1", [found, answer("x", "doc#1")]) == pytest.approx(2 / 3)
    assert score("citation_f1", [found, answer("x", "doc#1", "doc#2")]) == 0.5, "doc#2 was never shown"
    assert score("citation_f1", [search(1, 2), answer("x", "doc#1", "doc#2")]) == 1.0
    assert score("citation_f1", [answer("x", "doc#1", "doc#2")]) == 0.0, "no search"
    assert score("citation_f1", [found, answer("x")]) == 0.0
    assert score("citation_f1", [found]) == 0.0
