"""Ways to put rankings together: against their formulas, and what holds for all of them."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.protocol import CombineMethod
from drag_rl.retrieval.combine.methods import combine

METHODS = get_args(CombineMethod)
methods = st.sampled_from(METHODS)
scores = st.integers(-50, 50).map(lambda number: number / 8)


def by_score(scored):
    return sorted(scored, key=lambda one: (-one[1], one[0]))


rankings = st.dictionaries(st.integers(0, 12), scores, max_size=10).map(lambda found: by_score(found.items()))
several = st.lists(rankings, min_size=1, max_size=4)


def reciprocal_ranks(lists):
    """Reciprocal rank fusion as its paper writes it, and as ranx has it: from each page's ranks."""
    places = defaultdict(list)
    for found in lists:
        for position, (page, _) in enumerate(found):
            places[page].append(position + 1)
    return by_score(
        {page: sum(1.0 / (60 + r) for r in sorted(ranks)) for page, ranks in places.items()}.items()
    )


@given(several)
def test_rrf_is_the_papers(lists):
    found = combine(lists, "rrf")
    expected = reciprocal_ranks(lists)
    assert dict(found) == pytest.approx(dict(expected))
    assert [page for page, _ in found] == [page for page, _ in expected] or tied(expected)


def tied(scored):
    """Whether pages are so nearly equal that the order of the sums' terms may tell."""
    values = sorted(score for _, score in scored)
    return any(0 < after - before < 1e-12 for before, after in pairwise(values))


@given(several)
def test_sum_union_and_intersection_are_their_words(lists):
    tables = [dict(found) for found in lists]
    pages = {page for table in tables for page in table}
    held = {page: [table[page] for table in tables if page in table] for page in pages}
    assert combine(lists, "union") == by_score((page, max(scores)) for page, scores in held.items())
    assert combine(lists, "sum") == by_score((page, sum(scores)) for page, scores in held.items())
    in_all = {page: scores for page, scores in held.items() if len(scores) == len(lists)}
    assert combine(lists, "intersection") == by_score((page, min(scores)) for page, scores in in_all.items())


@given(several, methods, st.booleans(), st.randoms())
def test_the_order_of_the_rankings_does_not_matter(lists, method, normalise, random):
    shuffled = list(lists)
    random.shuffle(shuffled)
    assert combine(lists, method, normalise=normalise) == combine(shuffled, method, normalise=normalise)


@given(several, methods, st.booleans())
def test_the_order_is_strict_and_every_page_is_one_that_was_found(lists, method, normalise):
    found = combine(lists, method, normalise=normalise)
    assert found == by_score(found)
    assert len({page for page, _ in found}) == len(found)
    sets = [{page for page, _ in one} for one in lists]
    kept = set.intersection(*sets) if method == "intersection" else set.union(*sets)
    assert {page for page, _ in found} == kept


@given(several, st.booleans())
def test_no_page_of_the_intersection_scores_above_the_union(lists, normalise):
    union = dict(combine(lists, "union", normalise=normalise))
    assert all(score <= union[page] for page, score in combine(lists, "intersection", normalise=normalise))


@given(rankings, methods)
def test_one_ranking_keeps_its_order(found, method):
    assert [page for page, _ in combine([found], method)] == [page for page, _ in found]


@given(several, methods, st.integers(1, 40), st.integers(-100, 100))
def test_normalised_scores_do_not_depend_on_the_scale(lists, method, factor, offset):
    other = [[(page, score * factor + offset) for page, score in found] for found in lists]
    one, two = (combine(each, method, normalise=True) for each in (lists, other))
    assert dict(one) == pytest.approx(dict(two))
    assert all(-1e-12 <= score <= len(lists) + 1e-12 for _, score in one)


@given(rankings, rankings, st.sampled_from(["rrf", "sum"]))
def test_a_weight_counts_as_so_many_equal_rankings(one, two, method):
    weighed = combine([one, two], method, weights=[3, 1])
    assert dict(weighed) == pytest.approx(dict(combine([one, one, one, two], method)))


def test_each_ranking_has_its_weight():
    with pytest.raises(ValueError, match="argument"):
        combine([[(1, 1.0)], [(2, 1.0)]], "sum", weights=[1.0])
