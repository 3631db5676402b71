"""Reading an answer: nothing is cited that was not given, and a refusal is known as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.citations import citations_in
from drag_rl.episode.observation import shown_as
from drag_rl.handoff.prompt import REFUSAL, given_as
from drag_rl.handoff.reading import read_answer

PAGES = ("manual#1", "manual#12", "a  b#3", "odd] name#4", "notes [draft]#5", "<search>#6", "<page>#7")
PARTS = st.sampled_from(
    [
        *(f"[{shown_as(page)}]" for page in PAGES),
        *("[", "]", "; ", ", ", "\n", "\0", "#1", "[secret#9]", "[manual#1; secret#9]", "[manual#123]"),
        *("It is so", " ", "[1]", "<think>", "</think>", REFUSAL, "]]", "\u2028"),
    ]
)


@given(st.lists(PARTS, max_size=30).map("".join), st.sets(st.sampled_from(PAGES)))
def test_nothing_is_cited_that_was_not_given(message, pages):
    read = read_answer(message, sorted(pages))
    assert set(read.citations) <= pages
    shown = {name: page for page in pages for name in (shown_as(page), given_as(page))}
    assert set(citations_in(read.text, shown)) <= pages
    assert not set(read.dropped_citations) & set(shown)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name_of", [shown_as, given_as])
def test_a_page_is_cited_by_what_it_was_shown_as(page, name_of):
    read = read_answer(f"So it is [{name_of(page)}; secret#9].", [page])
    assert read.citations == (page,) and read.dropped_citations == ("secret#9",)
    assert read.text == f"So it is [{name_of(page)}]."


@pytest.mark.parametrize(
    "message",
    [
        "NOT ANSWERABLE",
        "Not answerable.",
        "**NOT ANSWERABLE**",
        "<think>No page.</think>\nNOT ANSWERABLE\nSorry.",
    ],
)
def test_the_fixed_form_is_a_refusal(message):
    assert read_answer(message, ["manual#1"]).refused


@pytest.mark.parametrize(
    "message",
    [
        "Not answerable questions are in chapter 2 [manual#1].",
        "It is NOT ANSWERABLE",
        "",
        "<think>NOT ANSWERABLE",
    ],
)
def test_other_words_are_none(message):
    assert not read_answer(message, ["manual#1"]).refused


def test_a_thought_that_was_cut_off_is_no_answer():
    assert read_answer("<think>Page manual#1 says [manual#1]", ["manual#1"]) == ("", (), (), False)
    assert read_answer("of course</think>It is so.", []).text == "It is so."
