"""Page ids are what a tuple of them is, and more: they know where each is, and which are of a document."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.retrieval.page_ids import PageIds

names = st.text(st.sampled_from("ab#\n\u00e9\U0001f98a"), max_size=4)
laws = settings(max_examples=50, deadline=None)


@laws
@given(st.lists(names, unique=True, max_size=12), names, st.slices(12))
def test_they_are_as_a_tuple(some: list[str], other: str, part: slice) -> None:
    ids, expected = PageIds.of(some), tuple(some)
    assert ids == expected and expected == ids and hash(ids) == hash(expected) and tuple(ids) == expected
    assert ids == PageIds.of(some) and ids != (*expected, other) and ids != list(expected)
    assert len(ids) == len(expected) and ids[part] == expected[part]
    assert [ids[place] for place in range(-len(some), len(some))] == some + some
    assert (other in ids) == (other in expected) and ids.count(other) == expected.count(other)
    assert 7 not in ids
    for name in (*some, other):
        for of in (ids, expected):
            if name in expected[1:]:
                assert of.index(name, 1) == expected.index(name)
            else:
                with pytest.raises(ValueError):
                    of.index(name, 1)


@laws
@given(st.lists(names, unique=True, max_size=12), names)
def test_each_has_its_place_and_its_document(some: list[str], other: str) -> None:
    ids = PageIds.of(some)
    for name in (*some, other):
        assert ids.row(name) == (some.index(name) if name in some else None)
        document = name.rpartition("#")[0]
        rows = [row for row, one in enumerate(some) if one.rpartition("#")[0] == document]
        assert ids.rows_of(document).tolist() == rows


def test_a_place_beyond_the_end_is_refused() -> None:
    with pytest.raises(IndexError):
        PageIds.of(["a#1"])[1]


def test_they_can_be_drawn_from() -> None:
    ids = PageIds.of([f"doc#{number}" for number in range(9)])
    assert random.Random(0).sample(ids, 3) == random.Random(0).sample(tuple(ids), 3)
