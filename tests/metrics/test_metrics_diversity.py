"""How different the searches of a question are, over an episode and over samples, as rewards of diversity see it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import trajectory_lab as lab
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.metrics import diversity
from drag_rl.metrics.measure import measure, question_means
from drag_rl.metrics.table import METRICS
from drag_rl.types import Hit, Trajectory
from reward.group import page_distances, query_distances

NAMES = ("distinct_1", "distinct_2", "query_diversity", "page_diversity", "distinct_pages")
PLAYED = lab.played(lab.shared_index(), lab.QUESTIONS[0], [lab.search("impeller")])


def searched(*searches: tuple[str, str], sample: int = 0) -> Trajectory:
    """An episode of searches, each a query and the pages that it found, a letter each."""
    (turn,) = PLAYED.outcome.searches
    turns = tuple(
        replace(
            turn,
            step=step,
            action=replace(turn.action, query=query),
            hits=tuple(Hit(page_id=f"{page}#1", rank=n, score=1.0) for n, page in enumerate(pages, start=1)),
        )
        for step, (query, pages) in enumerate(searches, start=1)
    )
    return replace(PLAYED, outcome=replace(PLAYED.outcome, turns=turns), sample=sample)


def test_the_numbers_of_two_searches():
    [row] = measure([searched(("Merge the tables", "abc"), ("join the tables", "bcd"))])
    assert row["distinct_1"] == pytest.approx(4 / 6)
    assert row["distinct_2"] == pytest.approx(3 / 4)
    assert row["query_diversity"] == pytest.approx(1 - 2 / 4)
    assert row["page_diversity"] == pytest.approx(1 - 2 / 4)
    assert row["distinct_pages"] == pytest.approx(4 / 6)


def test_samples_count_together_and_each_question_once():
    one, same = searched(("merge tables", "ab")), searched(("tables merge", "ab"), sample=1)
    other = searched(("join", "cd"), sample=2)
    rows = measure([one, same, other])
    assert rows[0]["query_diversity"] == rows[1]["query_diversity"] == rows[2]["query_diversity"]
    assert rows[0]["query_diversity"] == rows[0]["page_diversity"] == pytest.approx(2 / 3)
    assert rows[0]["distinct_pages"] == pytest.approx(4 / 6)
    _, values_QM = question_means([("q", row) for row in rows])
    assert values_QM[0, list(METRICS).index("distinct_1")] == pytest.approx(3 / 5)


def test_several_queries_of_one_search_are_compared_too():
    [one] = measure([searched(("merge tables\njoin tables", "abc"))])
    [two] = measure([searched(("merge tables", "abc"), ("join tables", "abc"))])
    assert one["query_diversity"] == two["query_diversity"] == pytest.approx(2 / 3)
    assert (one["distinct_1"], one["distinct_2"]) == (two["distinct_1"], two["distinct_2"]) == (0.75, 1.0)
    assert math.isnan(one["page_diversity"]) and two["page_diversity"] == 0.0


def test_where_there_is_nothing_to_compare_it_does_not_apply():
    for alone in ([searched(("merge", "ab"))], [searched()], [searched(("merge", "ab"), ("zebra", ""))]):
        row = measure(alone)[0]
        assert math.isnan(row["page_diversity"]) and math.isnan(row["distinct_pages"])
    assert math.isnan(measure([searched(("merge", "ab"))])[0]["query_diversity"])


words = st.lists(st.sampled_from(["merge", "Tables", "join"]), min_size=1, max_size=4).map(" ".join)
pages = st.text("abcd", min_size=1, max_size=3).map(lambda drawn: "".join(dict.fromkeys(drawn)))


@settings(max_examples=40)
@given(st.lists(st.tuples(words, pages), min_size=2, max_size=5))
def test_bounds_order_and_the_distances_that_a_reward_of_diversity_pays_for(searches):
    samples = [searched(search, sample=number) for number, search in enumerate(searches)]
    [row, *_] = measure(samples)
    assert all(0.0 <= row[name] <= 1.0 or math.isnan(row[name]) for name in NAMES)
    [backwards, *_] = measure([searched(*reversed(searches))])
    assert {name: row[name] for name in NAMES} == pytest.approx(
        {name: backwards[name] for name in NAMES}, nan_ok=True
    )
    outcomes = [sample.outcome for sample in samples]
    pairs = len(samples) * (len(samples) - 1)
    for measured, distances in (
        (diversity.query_diversity, query_distances),
        (diversity.page_diversity, page_distances),
    ):
        assert measured(samples) == pytest.approx(sum(map(sum, distances(outcomes))) / pairs)
