"""Titles and index terms, asked in sentences: who is trained on bare titles never learns which words to leave out.

Each template has at most seven different words, so that two questions of one template are not near-duplicates of each
other (``data_preprocess.splits``) for the template's sake.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from data_preprocess.splits import draw
from drag_rl.types import Question

Phrasing = Literal["as-printed", "mixed", "sentences"]
"""Titles and terms as they are printed, half of them in sentences, or all of them."""

TEMPLATES = {
    "outline": (
        "Can you explain {}?",
        "How does {} work?",
        "I need help with {}. Where is it?",
        "What are the rules for {}?",
        "What should I know about {}?",
        "Where can I read about {}?",
        "Why does {} matter?",
    ),
    "index": (
        "How do I use {}?",
        "What does {} do?",
        "What is {}?",
        "When should I use {}, and why?",
        "Where is {} explained?",
        "Which page tells me about {}?",
    ),
}
"""Kind of question -> sentences that ask for it."""


def phrase(question: Question, phrasing: Phrasing, seed: int) -> Question:
    """The question as it is to be asked; the same for the same question, phrasing and seed. Printed questions stay.

    >>> title = Question(question_id="a/outline/0", text="Data frames", gold_page_ids=("a#1",), data_source="outline")
    >>> phrase(title, "sentences", seed=0).text
    'Why does data frames matter?'
    """
    templates = TEMPLATES.get(question.data_source, ())
    number = int(draw(seed, f"phrasing:{question.question_id}"), 16)
    if not templates or phrasing == "as-printed" or (phrasing == "mixed" and number % 2):
        return question
    return replace(question, text=templates[number // 2 % len(templates)].format(_inside(question.text)))


def _inside(title: str) -> str:
    """A title within a sentence: without a full stop, its first letter small if that is all that makes it a title."""
    title = title.strip().rstrip(".?!")
    first = title.split(" ", 1)[0]
    return title[0].lower() + title[1:] if first.isalpha() and first[1:].islower() else title
