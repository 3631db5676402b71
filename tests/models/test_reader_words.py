"""Any word has a vector, which its letters alone make."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.models.reader.words import BUCKETS, LONGEST, WordBuckets, buckets, word_key, word_spans


@given(st.text())
def test_every_text_has_words_that_can_be_looked_up(text: str) -> None:
    for begin, end in word_spans(text):
        key = word_key(text[begin:end])
        assert key and len(key) <= LONGEST
        assert all(0 <= row < BUCKETS for row in buckets(key))


@given(st.text("abcXYZ\u00e9", min_size=1))
def test_upper_and_lower_case_are_one_word(word: str) -> None:
    assert word_key(word.upper()) == word_key(word.lower())


def test_a_vocabulary_gives_each_words_rows() -> None:
    keys = ["page", "a", "quarterly"]
    rows, offsets = WordBuckets(keys).of(np.array([2, 0]))
    assert rows.tolist() == buckets("quarterly") + buckets("page")
    assert offsets.tolist() == [0, len(buckets("quarterly"))]
