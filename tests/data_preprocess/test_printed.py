"""A heading is found however it is broken over lines, and goes without taking other text along."""

from __future__ import annotations

import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_preprocess.printed import cut_spans, key_of, printed_at, standing_alone, words_of_pdf, words_of_text

words = st.text(alphabet="abcxyz", min_size=2, max_size=6)
titles = st.lists(words, min_size=2, max_size=6)


@given(titles, st.data(), st.sampled_from(["", "7.2 ", "A.1 ", "Chapter 3: "]))
def test_a_heading_is_found_and_cut_whatever_its_line_breaks(
    title: list[str], data: st.DataObject, number: str
) -> None:
    breaks = data.draw(st.lists(st.sampled_from([" ", "\n", "  "]), min_size=len(title), max_size=len(title)))
    heading = number + "".join(word + gap for word, gap in zip(title, breaks, strict=True)).strip()
    before, after = "Text 1. of, before it.", "Some #text after."
    text = f"{before}\n{heading}\n{after}\n"
    (found,) = standing_alone(words_of_text(text), key_of("".join(title)))
    assert cut_spans(text, [(found[0].place[0], found[-1].place[1])]) == f"{before}\n{after}\n"


@pytest.mark.parametrize("text", ["We save objects here.\n", "save\nobjects of R\n", "save objectstore\n"])
def test_a_title_inside_other_text_is_no_heading(text: str) -> None:
    assert not standing_alone(words_of_text(text), key_of("save objects"))


@given(
    st.text(alphabet="ab \n", max_size=40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4),
)
def test_what_is_not_cut_stays_in_order(text: str, cuts: list[tuple[int, int]]) -> None:
    spans = [(min(pair), min(max(pair), len(text))) for pair in cuts if min(pair) <= len(text)]
    kept = [c for n, c in enumerate(text) if not any(start <= n < end for start, end in spans) and c in "ab"]
    assert [c for c in cut_spans(text, spans) if c in "ab"] == kept


def test_keys_ignore_quotes_dashes_and_ligatures() -> None:
    assert key_of("\u2018Di\ufb00er\u2013ence\u2019?") == key_of("'differ-ence'")
    assert key_of("...") == "" and standing_alone(words_of_text("a b"), "") == []


def test_a_sentence_without_spaces_is_found_between_full_stops() -> None:
    text, key = "这是第一句。这是第二句。这是第三句。", key_of("这是第二句。")
    page = pymupdf.open().new_page()
    page.insert_text((72, 72), text, fontname="china-s")
    for words in (words_of_text(text), words_of_pdf(page)):
        ((first, last),) = printed_at(words, key)
        assert "".join(word.key for word in words[first : last + 1]) == key
    ((first, last),) = printed_at(words_of_text(text), key)
    place = words_of_text(text)[first].place[0], words_of_text(text)[last].place[1]
    assert cut_spans(text, [place]) == "这是第一句。这是第三句。"
