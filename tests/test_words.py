"""Laws of words: Latin ones are as they always were; in scripts without spaces every part of a clause is found."""

# ruff: noqa: RUF001  (letters that look alike are what languages are made of)

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.words import UNSPACED, WORD, has_other_scripts, word_at, words

LATIN = st.text(st.characters(max_codepoint=0x52F), max_size=60)
CLAUSE = st.text("中国的首都北京はカナ가나다한글", min_size=2, max_size=20)
MIXED = st.lists(
    st.text("中京はカ가나ภษาไ", max_size=6) | st.text("aBéЖ_1 .\n\u200b\u0301", max_size=6), max_size=8
).map("".join)


def told(text: str) -> list[str]:
    return [word for _, word in words(text)]


@given(LATIN)
def test_words_between_spaces_are_as_in_bm25s(text: str) -> None:
    assert list(words(text)) == [(m.start(), m.group()) for m in re.finditer(r"\b\w\w+\b", text)]


@given(CLAUSE, st.data())
def test_a_part_of_a_clause_shares_its_words(clause: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(clause) - 2))
    part = clause[start : data.draw(st.integers(start + 2, len(clause)))]
    assert set(told(part)) <= set(told(clause))


@given(MIXED)
def test_words_stand_where_they_are_said_to_and_offsets_rise(text: str) -> None:
    found = list(words(text))
    assert [start for start, _ in found] == sorted(start for start, _ in found)
    for start, word in found:
        assert "".join(text[start:].split("\n")).replace("\u200b", "").startswith(word)
        assert word_at(text, start)


@given(MIXED)
def test_latin_words_among_others_are_as_between_spaces(text: str) -> None:
    spaced = UNSPACED.sub(" ", text)
    assert [word for word in told(text) if word.isascii()] == [w for w in WORD.findall(spaced) if w.isascii()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("首都", ["首都", "首", "都"]),
        ("首\n都は", ["首都", "首", "都は", "都"]),  # a line that is full ends anywhere
        ("首 都", ["首", "都"]),
        ("東京2024年のR言語", ["東京", "東", "京", "2024", "年の", "年", "言語", "言", "語"]),
        ("리눅스를 씀", ["리눅", "눅스", "스를", "씀"]),
        ("ประเทศ", ["ประ", "ระเ", "ะเท", "เทศ"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Ｄｅｂｉａｎ１２ ﾃﾞﾋﾞ", ["Debian12", "デビ"]),
        ("naïve café", ["naïve", "café"]),
    ],
)
def test_words_by_script(text: str, expected: list[str]) -> None:
    assert told(text) == expected


def test_only_other_scripts_take_the_longer_way() -> None:
    assert not any(
        map(has_other_scripts, ["plain", "größe – Ångström", "Ελληνικά", "Русский", "שלום", "سلام"])
    )
    assert all(map(has_other_scripts, ["漢", "x 한", "ไทย", "हि", "Ａ"]))
