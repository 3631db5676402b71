"""Sketches tell how alike texts are, and find the near ones without comparing all."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from drag_rl.min_hash import HASHES, Sketches, shingles, sketch

WORDS = [f"word{number}" for number in range(3000)]


def jaccard(one: str, other: str) -> float:
    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


def changed(text: str, words: int, draw: random.Random) -> str:
    """The text with some words replaced."""
    own = text.split()
    for place in draw.sample(range(len(own)), words):
        own[place] = draw.choice(WORDS)
    return " ".join(own)


def test_the_estimate_is_the_similarity_within_its_standard_deviation() -> None:
    draw = random.Random(0)
    for words in (0, 1, 5, 10, 30, 100, 300):
        text = " ".join(draw.choices(WORDS, k=300))
        other = changed(text, words, draw)
        sketches = Sketches()
        for one in (text, other):
            sketches.add(one)
        exact = jaccard(text, other)
        assert abs(sketches.similarity(0, 1) - exact) <= 4 * (exact * (1 - exact) / HASHES) ** 0.5 + 1e-9


def test_near_duplicates_are_found_and_nothing_else() -> None:
    draw = random.Random(1)
    texts = [" ".join(draw.choices(WORDS, k=200)) for _ in range(150)]
    near = {place: changed(texts[place], 2, draw) for place in range(0, 150, 3)}
    far = [changed(text, 60, draw) for text in texts[:50]]
    sketches = Sketches()
    for text in [*texts, *near.values(), *far]:
        sketches.add(text)
    assert len(sketches) == 250
    found = list(sketches.near(lambda _one, _other: True))
    assert found == [(place, 150 + number) for number, place in enumerate(near)]
    assert not list(sketches.near(lambda one, _other: one >= 150))


@given(st.text(max_size=200))
def test_a_text_is_its_own_copy_whatever_is_in_it(text: str) -> None:
    assert (sketch(text) == sketch(f" {text} ")).all()
    assert sketch(text).shape == (HASHES,)


def test_thousands_of_copies_take_linear_time() -> None:
    sketches, compared = Sketches(), []
    for number in range(300):
        sketches.add("the same form for all " * 20 + ("" if number % 2 else "x"))
    assert not list(sketches.near(lambda one, other: compared.append((one, other)) or False))
    assert len(compared) <= 300 * 50 * 16
