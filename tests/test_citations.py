"""Whatever a document is called, a page that was shown can be cited, and is cited once."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.citations import citation_groups, citations_in, without_citations

FLAT = st.lists(st.sampled_from(["[", "]", "#1", "#23", " ", ",", ";", "a", "b c", "\n"]), max_size=14).map(
    "".join
)
NAMES = (
    st.text("ab[] ,;#1<", min_size=1, max_size=8)
    .map(" ".join)
    .map(lambda name: " ".join(name.split()) + "#7")
)


def in_pairs(name: str) -> bool:
    depth = 0
    for sign in name:
        depth += (sign == "[") - (sign == "]")
        if depth < 0:
            return False
    return depth == 0


def by_patterns(text: str) -> tuple[str, ...]:
    """The definition for brackets that hold none, by two patterns that take the cube of a text's length."""
    groups = re.findall(r"\[([^\[\]\n]+)\]", text)
    found = (page_id for group in groups for page_id in re.findall(r"\s*(.+?#\d+)\s*(?:[,;]|$)", group))
    return tuple(dict.fromkeys(page_id for page_id in found if page_id.strip().partition("#")[0]))


@given(FLAT)
def test_flat_brackets_are_read_as_the_patterns_say(text: str) -> None:
    nested = re.search(r"\[[^\]\n]*\[", text)
    if not nested and not re.search(r"[\[,;]\s*#", text):  # a number without a name is no page
        assert citations_in(text) == by_patterns(text)


@given(NAMES, NAMES)
def test_a_page_that_was_shown_can_be_cited(one: str, other: str) -> None:
    shown = {one: "first#7", other: "second#7"}
    expected = tuple(dict.fromkeys((shown[one], shown[other])))
    if one == other or (one not in other and other not in one):
        assert citations_in(f"Say [{one}] and [{other}].", shown) == expected


@given(st.text("ab[] c", min_size=1, max_size=10).filter(in_pairs))
def test_a_name_with_brackets_in_pairs_needs_no_list(name: str) -> None:
    page_id = " ".join(f"x{name}#3".split())
    assert citations_in(f"[{page_id}]") == (page_id,)
    assert citations_in(f"see [[{page_id}], [b#2; {page_id}]]") == (page_id, "b#2")


@given(FLAT)
def test_what_is_left_without_citations_cites_nothing_more(text: str) -> None:
    places = [place for place, _ in citation_groups(text)]
    assert all(text[start] == "[" and text[end - 1] == "]" for start, end in places)
    assert all(one[1] <= other[0] for one, other in pairwise(places))
    if not places:
        assert without_citations(text) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("[Smith [2019]#3]", ("Smith [2019]#3",)),
        ("[[draft] plan#3, R-FAQ#1]", ("[draft] plan#3", "R-FAQ#1")),
        ("[see [R-FAQ#3]]", ("R-FAQ#3",)),
        ("[R-FAQ#3", ()),
        ("[R-FAQ\n#3]", ()),
        ("[R-FAQ#3 and R-data#5]", ("R-FAQ#3 and R-data#5",)),
        ("[ #3] [#3] [a#]", ()),
    ],
)
def test_brackets_by_example(text: str, cited: tuple[str, ...]) -> None:
    assert citations_in(text) == cited
