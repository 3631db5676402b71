"""Laws of clean text, and the order in which a page is read."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.corpus.clean_text import clean_text, is_legible, join_broken_words
from drag_rl.corpus.reading_order import Line, reading_order

ANYTHING = st.text(st.characters(), max_size=60)
LINES = st.builds(
    lambda text, x, y, width, height: Line(text, x, y, x + width, y + height),
    st.text("abc", min_size=1, max_size=3),
    *[st.floats(0, 600) for _ in range(4)],
)


@given(ANYTHING)
def test_clean_text_is_stable_utf8_without_control_characters(text):
    clean = clean_text(text)
    assert clean_text(clean) == clean
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert not any(ord(character) < 32 and character not in "\n\t" for character in clean)


@given(st.lists(ANYTHING.map(clean_text), max_size=4))
def test_joining_words_loses_nothing_but_hyphens_and_blanks(texts):
    joined = join_broken_words(texts)
    assert len(joined) == len(texts)
    for before, after in zip(texts, joined, strict=True):
        dropped = {ord(character): None for character in "-\u00ad \t\n"}
        assert after.translate(dropped) == before.translate(dropped)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("the num-\nber, of\n  indented code", "the number,\nof\n  indented code"),
        ("a well-\nKnown name", "a well-\nKnown name"),
        ("Санкт-\nПетербург, вра-\nщение", "Санкт-\nПетербург, вращение"),  # noqa: RUF001 - another script
        ("range 3-\n4", "range 3-\n4"),
        ("soft\u00ad\nware", "software"),
    ],
)
def test_only_broken_words_are_joined(before, after):
    assert join_broken_words([before]) == [after]


@pytest.mark.parametrize(
    ("text", "legible"), [("", False), ("12", True), ("\ufffd" * 5 + "ab", False), ("año \ue000", True)]
)
def test_legible_text(text, legible):
    assert is_legible(text) is legible


@given(st.lists(LINES, max_size=25))
def test_reading_order_keeps_every_line_once(lines):
    read = [line for row in reading_order(lines) for line in row]
    assert sorted(map(id, read)) == sorted(map(id, lines))


def paragraphs(column: int, x0: float, x1: float, top: float) -> list[list[Line]]:
    """Five paragraphs of four lines in one column."""
    return [
        [
            Line(f"c{column}p{number}l{line}", x0, y := top + 60 * number + 12 * line, x1, y + 10)
            for line in range(4)
        ]
        for number in range(5)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_columns_are_read_one_after_the_other_however_they_are_drawn(seed, columns):
    width = 480 / columns
    title, footer = Line("title", 40, 20, 500, 40), Line("footer", 100, 500, 420, 512)
    blocks = [
        block
        for column in range(columns)
        for block in paragraphs(column, 30 + column * width, column * width + width + 10, 60)
    ]
    expected = ["title", *(line.text for block in blocks for line in block), "footer"]
    drawn = [[title], [footer], *blocks]
    random.Random(seed).shuffle(drawn)
    rows = reading_order([line for block in drawn for line in block])
    assert [line.text for row in rows for line in row] == expected


def test_a_table_is_read_row_by_row():
    cells = [
        Line(f"r{row}c{column}", 50 + 100 * column, 20 * row, 90 + 100 * column, 20 * row + 10)
        for row in range(10)
        for column in range(3)
    ]
    rows = reading_order(cells)
    assert [[line.text for line in row] for row in rows] == [
        [f"r{row}c{column}" for column in range(3)] for row in range(10)
    ]
