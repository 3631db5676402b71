"""Near duplicates are found without comparing each question with each, and are the same ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drag_rl.near_duplicates import NEAR_DUPLICATE, NearDuplicates

word_sets = st.frozensets(st.sampled_from("abcdefghijklm"), min_size=1)


@given(st.lists(word_sets), st.lists(word_sets), st.lists(word_sets))
def test_it_is_every_pair_s_jaccard(corpus, added, asked):
    near = NearDuplicates(corpus)
    for words in added:
        near.add(words)
    for words in asked:
        expected = any(len(words & other) >= NEAR_DUPLICATE * len(words | other) for other in added)
        assert near.has_near(words) == expected


class Counted(frozenset):
    """A set that counts how often any is compared with another."""

    compared = 0

    def __and__(self, other):
        Counted.compared += 1
        return super().__and__(other)


def test_questions_that_share_common_words_alone_are_not_compared():
    """Two thousand questions of one pattern: each is compared with a few others, not with all."""
    sets = [Counted(["how", "do", "i", "use", "the", f"part{n}", f"tool{n % 100}"]) for n in range(2000)]
    near = NearDuplicates(sets)
    for words in sets:
        assert not near.has_near(words)
        near.add(words)
    assert 0 < Counted.compared < 20 * len(sets)
