"""Titles asked in sentences: the same every time, half of them if so wished, no near-duplicates for their frame."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_preprocess.phrasing import TEMPLATES, phrase
from data_preprocess.splits import NEAR_DUPLICATE, word_set
from drag_rl.types import Question

TITLE = Question(question_id="a/outline/7", text="Data frames", gold_page_ids=("a#1",), data_source="outline")


def asked(text: str = TITLE.text, kind: str = "outline", number: int = 7) -> str:
    question = replace(TITLE, text=text, data_source=kind, question_id=f"a/{kind}/{number}")
    return phrase(question, "sentences", seed=0).text


@given(
    text=st.text(min_size=1).filter(str.strip),
    kind=st.sampled_from(["outline", "index"]),
    number=st.integers(),
)
def test_a_sentence_holds_the_words_of_its_title(text, kind, number):
    sentence = asked(text, kind, number)
    assert text.strip().rstrip(".?!")[1:] in sentence
    assert any(
        re.fullmatch(re.escape(form).replace(r"\{\}", ".*"), sentence, re.DOTALL) for form in TEMPLATES[kind]
    )


def test_every_sentence_occurs_and_half_of_mixed_questions_are_as_printed():
    questions = [replace(TITLE, question_id=f"a/outline/{number}") for number in range(400)]
    sentences = {phrase(question, "sentences", seed=0).text for question in questions}
    assert len(sentences) == len(TEMPLATES["outline"])
    mixed = [phrase(question, "mixed", seed=0) for question in questions]
    assert 150 < sum(question == other for question, other in zip(questions, mixed, strict=True)) < 250
    assert mixed == [phrase(question, "mixed", seed=0) for question in questions]
    assert mixed != [phrase(question, "mixed", seed=1) for question in questions]
    assert questions == [phrase(question, "as-printed", seed=0) for question in questions]


def test_what_was_printed_as_a_question_stays():
    printed = replace(TITLE, data_source="faq", text="Why is R named R?")
    assert phrase(printed, "sentences", seed=0) == printed


@pytest.mark.parametrize(
    ("title", "inside"),
    [
        ("Data frames", "data frames"),
        ("Quitting.", "quitting"),
        ("R objects", "R objects"),
        ("CRAN mirrors", "CRAN mirrors"),
        ("Sys.time", "Sys.time"),
        ("\\href", "\\href"),
        ("{x}", "{x}"),
    ],
)
def test_a_title_within_a_sentence(title, inside):
    assert f" {inside}" in asked(title)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_two_questions_are_not_near_duplicates_for_their_frame(kind):
    for form, other in combinations([form for form in TEMPLATES[kind] for _ in range(2)], 2):
        one, two = word_set(form.format("alpha")), word_set(other.format("omega"))
        assert len(one & two) < NEAR_DUPLICATE * len(one | two)
