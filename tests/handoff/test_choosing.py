"""Which pages are handed on: each once, the best first, never more than the budget."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trajectory_lab as lab
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.handoff.choosing import (
    LEAST_CHARS,
    TOKENS_OF_MARKERS,
    PageBudget,
    best_first,
    text_tokens,
    within,
)
from drag_rl.retrieval import PageTexts
from drag_rl.types import Enough, StopReason


@pytest.fixture(scope="module")
def index():
    return lab.shared_index()


def outcome_of(index, *texts):
    return lab.played(index, lab.QUESTIONS[0], texts).outcome


@settings(max_examples=40)
@given(st.data())
def test_every_listed_page_is_handed_on_once_in_the_order_of_reciprocal_ranks(data):
    index = lab.shared_index()
    outcome = outcome_of(index, *data.draw(lab.scripts()))
    ranks: dict[str, list[int]] = {}
    for turn in outcome.searches:
        for hit in turn.hits:
            ranks.setdefault(hit.page_id, []).append(hit.rank)
    pages = best_first(outcome)
    assert sorted(pages) == sorted(ranks)
    cited = [page for page in (outcome.answer.citations if outcome.answer else ()) if page in ranks]
    assert list(pages[: len(cited)]) == cited
    fused = [sum(1 / (60 + rank) for rank in ranks[page]) for page in pages[len(cited) :]]
    assert fused == sorted(fused, reverse=True)


def test_pages_that_the_answer_cites_come_first(index):
    asked = lab.search("impeller seal"), lab.search("blade")
    found = best_first(outcome_of(index, *asked, lab.answer("I do not know.")))
    last = found[-1]
    assert best_first(outcome_of(index, *asked, lab.answer(f"It is [{last}], or [made-up#1].")))[0] == last


def test_pages_that_the_policy_kept_are_all(index):
    outcome = outcome_of(index, lab.search("impeller seal"), lab.answer("x"))
    kept = (outcome.turns[0].hits[1].page_id,)
    for pages, handed in ((kept, kept), ((), best_first(outcome))):
        last = replace(outcome.turns[-1], action=Enough(pages=pages))
        ended = replace(outcome, turns=(*outcome.turns[:-1], last), stop_reason=StopReason.ENOUGH)
        assert set(best_first(ended)) == set(handed)


texts = st.text(st.sampled_from("ab é中\n"), max_size=2000)


@given(st.lists(texts, min_size=1, max_size=6), st.integers(128, 2000), st.integers(0, 4))
def test_what_is_given_keeps_to_the_budget(contents, tokens, most):
    pages = PageTexts.of({f"d#{n}": text for n, text in enumerate(contents, start=1)})
    given_pages = within(pages.page_ids, pages, "a b", PageBudget(tokens=tokens, pages=most))
    assert [page.page_id for page in given_pages] == list(pages.page_ids[: len(given_pages)])
    # What is cut is cut by characters, which differ in bytes: a page of several scripts may take a little more.
    whole = given_pages[:-1]
    assert sum(text_tokens(page.text) + TOKENS_OF_MARKERS for page in whole) <= tokens
    assert all(page.text == pages.text(page.page_id) for page in whole)
    assert not most or len(given_pages) <= most
    if len(given_pages) == len(contents):
        return
    next_text = pages.text(pages.page_ids[len(given_pages)])
    spent = sum(text_tokens(page.text) + TOKENS_OF_MARKERS for page in given_pages)
    assert len(given_pages) == most or spent + text_tokens(next_text) + TOKENS_OF_MARKERS > tokens


def test_the_page_that_does_not_fit_is_cut_to_the_part_that_fits_the_question():
    page = "filler " * 300 + "the impeller needs care " + "filler " * 300
    pages = PageTexts.of({"d#1": page, "d#2": page})
    [given_page] = within(["d#1", "d#2"], pages, "impeller", PageBudget(tokens=400))
    assert "impeller needs care" in given_page.text
    assert LEAST_CHARS < len(given_page.text) < len(page) and text_tokens(given_page.text) <= 400
    assert within(["d#1"], pages, "impeller", PageBudget(tokens=TOKENS_OF_MARKERS + 10)) == []


def test_images_take_their_share_of_the_budget():
    pages = PageTexts.of({f"d#{n}": "short" for n in range(1, 6)})
    budget = PageBudget(tokens=1000, shown="image", max_pixels=400 * 1024)
    given_pages = within(pages.page_ids, pages, "", budget)
    assert [(page.text, page.image) for page in given_pages] == [("", True)] * 2
    both = within(pages.page_ids, pages, "", replace(budget, shown="both"))
    assert [(page.text, page.image) for page in both] == [("short", True)] * 2
