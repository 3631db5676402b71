"""Asking again is a repetition only where it shows nothing new."""

from __future__ import annotations

import pytest
import trajectory_lab as lab

from drag_rl.episode import EpisodeConfig
from drag_rl.metrics.queries import repeated_searches


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return lab.make_index(tmp_path_factory.mktemp("queries"))


@pytest.mark.parametrize(
    ("says", "repeat_pages", "repeated"),
    [
        (["impeller care", "Care  impeller", "seal"], True, (False, True, False)),
        (["care", "care", "care"], True, (False, True, True)),
        # Ten new pages a search: the same words read on, until the twenty pages that hold them are spent.
        (["care", "care", "care"], False, (False, False, True)),
        (["zebra", "zebra"], False, (False, True)),
    ],
)
def test_the_same_words_repeat_a_search_unless_they_read_on(index, says, repeat_pages, repeated):
    config = EpisodeConfig(
        max_turns=len(says), top_k=10, answer=False, think=False, repeat_pages=repeat_pages
    )
    trajectory = lab.played(index, lab.QUESTIONS[0], [lab.search(query) for query in says], config)
    assert repeated_searches(trajectory.outcome) == repeated
