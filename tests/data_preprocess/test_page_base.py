"""The page-base check tells a data set that counts from 0 from one that counts from 1."""

from __future__ import annotations

import random

import pytest
from tiny_corpus import page_of

from data_preprocess.page_base import AskedDocuments, check_page_base, page_base
from drag_rl.errors import InputError
from drag_rl.types import Page, Question

WORDS = [f"word{number}" for number in range(400)]


def corpus(shift: int, questions: int = 60) -> tuple[list[Question], list[Page]]:
    """Documents of ten pages of random words, and questions of four words of a page; gold is named ``shift`` off."""
    draw = random.Random(0)
    texts = {(doc, number): draw.choices(WORDS, k=40) for doc in "abc" for number in range(1, 11)}
    pages = [page_of(doc, number, " ".join(words)) for (doc, number), words in texts.items()]
    asked = []
    for place in range(questions):
        doc, number = draw.choice([(doc, number) for doc, number in texts if 2 <= number <= 9])
        words = draw.sample(texts[doc, number], 2) + draw.choices(WORDS, k=2)
        gold = (f"{doc}#{number + shift}",)
        asked.append(Question(question_id=str(place), text=f"What of {' '.join(words)}?", gold_page_ids=gold))
    return asked, pages


def asked_of(questions: list[Question], pages: list[Page]) -> AskedDocuments:
    documents = AskedDocuments(questions)
    assert list(documents.watch(pages)) == pages
    return documents


def test_the_right_base_is_accepted_and_measured() -> None:
    base = check_page_base("right", asked_of(*corpus(0)))
    assert base.questions == 60
    assert base.found[0] > 0.5 > 0.3 > max(base.found[-1], base.found[1])
    assert base.facts()["page_base"]["found_at_offset"].keys() == {"-1", "+0", "+1"}


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_base_one_off_is_refused(shift: int) -> None:
    said = rf"data set wrong: its page numbers are off by [{-shift:+d}]{{2}}: of 60 questions"
    with pytest.raises(InputError, match=said):
        check_page_base("wrong", asked_of(*corpus(shift)))


def test_what_cannot_tell_is_not_refused() -> None:
    assert page_base(asked_of(*corpus(1, questions=10))).better() is None
    questions, pages = corpus(1)
    assert page_base(asked_of(questions, [page for page in pages if page.page_number < 3])).questions == 0
