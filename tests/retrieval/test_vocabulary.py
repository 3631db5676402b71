"""A vocabulary is a mapping from terms to their places among all, in memory and in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.retrieval.vocabulary import Vocabulary, merged

terms = st.text(st.sampled_from("ab\u00e9\u9996\U0001f98a"), max_size=3)
sets = st.sets(terms, max_size=12)


@settings(max_examples=50, deadline=None)
@given(sets, terms)
def test_ids_are_places_in_the_order_of_bytes(some: set[str], other: str) -> None:
    vocabulary = Vocabulary.of([*some])
    expected = {term: place for place, term in enumerate(sorted(some, key=str.encode))}
    assert dict(vocabulary) == expected and list(vocabulary) == list(expected)
    assert len(vocabulary) == len(some)
    assert vocabulary.get(other) == expected.get(other) and (other in vocabulary) == (other in some)


@settings(max_examples=50, deadline=None)
@given(st.lists(sets, max_size=4))
def test_merged_ids_stand_for_the_same_terms(some: list[set[str]]) -> None:
    parts = [Vocabulary.of([*one]) for one in some]
    everything, new_ids = merged(parts)
    assert list(everything) == sorted(set().union(*some))
    for part, ids in zip(parts, new_ids, strict=True):
        assert [everything[term] for term in part] == ids.tolist()


@pytest.mark.parametrize("some", [[], ["b", "a"]])
def test_a_file_holds_a_vocabulary(tmp_path: Path, some: list[str]) -> None:
    Vocabulary.of(some).save(tmp_path / "terms")
    stored = Vocabulary.open(tmp_path / "terms")
    assert list(stored) == sorted(some)
    with pytest.raises(KeyError, match="ud800"):
        stored["\ud800"]
