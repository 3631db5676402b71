"""Hard negatives: never gold, never nearly so, as well ranked as can be; by a computation of its own."""

from __future__ import annotations

from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.errors import InputError
from drag_rl.training.retriever.negatives import ABOVE, DRAWN, GOLD, NEAR, Negatives, Scored
from drag_rl.types import Question

TEXTS = {f"d#{n}": f"page {n} tells of subject{n} and matter{n}, by author{n}" for n in range(30)}
TEXTS |= {"copy#1": TEXTS["d#0"].upper() + "!", "scan#1": "", "scan#2": " "}


def asked(*gold):
    return Question(question_id="q", text="What?", gold_page_ids=gold, answers=(), data_source="x")


def ranked(*scores):
    return [Scored(page_id, score) for page_id, score in scores]


def jaccard(one, other):
    """Of the words of two texts, cut at what is no letter or digit."""
    first, second = (
        set("".join(c if c.isalnum() else " " for c in text.lower()).split()) for text in (one, other)
    )
    return len(first & second) / len(first | second) if first | second else 0.0


def test_gold_copies_and_pages_scored_like_gold_are_left_out():
    chooser = Negatives(TEXTS, per_question=2, max_share=0.95, seed=0)
    ranking = ranked(
        ("d#5", 9.8), ("d#0", 10), ("d#1", 9.51), ("copy#1", 9.4), ("d#2", 9.49), ("scan#1", 9), ("d#3", 8)
    )
    assert chooser.choose(asked("d#0"), {"bm25": ranking}) == ["d#2", "scan#1"]
    assert chooser.counts == {"bm25": 2, ABOVE: 2, GOLD: 1, NEAR: 1}
    kept = Negatives(TEXTS, per_question=3, max_share=0, seed=0)
    assert kept.choose(asked("d#0"), {"bm25": ranking}) == ["d#5", "d#1", "d#2"]


def test_a_question_whose_gold_page_is_not_ranked_gets_drawn_pages():
    chooser = Negatives(TEXTS, per_question=3, max_share=0.95, seed=0)
    chosen = chooser.choose(asked("d#0"), {"bm25": ranked(("d#1", 3.0))})
    assert len(set(chosen)) == 3 and not {"d#0", "copy#1"} & {*chosen}
    assert chooser.counts[DRAWN] == 3 and chooser.counts[ABOVE] == 1
    assert chosen == Negatives(TEXTS, per_question=3, max_share=0.95, seed=0).choose(asked("d#0"), {})
    assert chosen != Negatives(TEXTS, per_question=3, max_share=0.95, seed=1).choose(asked("d#0"), {})


def test_a_corpus_with_too_few_wrong_pages_is_one_line():
    chooser = Negatives({"a#1": "gold", "a#2": "wrong"}, per_question=2, max_share=0, seed=0)
    with pytest.raises(InputError, match="of question q only 1 pages can be wrong; ask for fewer"):
        chooser.choose(asked("a#1"), {})


def test_pages_that_cannot_be_shown_are_left_out():
    chooser = Negatives(
        TEXTS, per_question=1, max_share=0, seed=0, can_be_shown=lambda page_id: page_id != "d#1"
    )
    assert chooser.choose(asked("d#0"), {"bm25": ranked(("d#1", 2.0), ("d#2", 1.0))}) == ["d#2"]


ranking_of = st.lists(
    st.tuples(st.sampled_from([*TEXTS]), st.floats(-5, 20, width=32)),
    unique_by=lambda row: row[0],
    max_size=25,
).map(lambda rows: ranked(*sorted(rows, key=lambda row: -row[1])))


@given(
    rankings=st.dictionaries(st.sampled_from(["bm25", "model", "dense"]), ranking_of, max_size=3),
    gold=st.lists(st.sampled_from([*TEXTS]), min_size=1, max_size=3, unique=True),
    count=st.integers(1, 6),
    share=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
)
def test_what_is_chosen_is_what_the_rules_say(rankings, gold, count, share):
    """The rules by brute force over whole rankings, taken in turns."""
    allowed = []
    for source, ranking in rankings.items():
        best = max((page.score for page in ranking if page.page_id in gold), default=None)
        allowed.append(
            [
                (page.page_id, source)
                for page in ranking
                if page.page_id not in gold
                and all(jaccard(TEXTS[page.page_id], TEXTS[other]) < 0.8 for other in gold)
                and (not share or (best is not None and page.score <= best - (1 - share) * abs(best)))
            ]
        )
    turns = [page for row in zip_longest(*allowed) for page, _ in filter(None, row)]
    expected = [*dict.fromkeys(turns)][:count]
    chosen = Negatives(TEXTS, per_question=count, max_share=share, seed=3).choose(asked(*gold), rankings)
    assert chosen[: len(expected)] == expected and len(set(chosen)) == count
    drawn = chosen[len(expected) :]
    assert not {*drawn} & {*gold}
    assert all(jaccard(TEXTS[page], TEXTS[other]) < 0.8 for page in drawn for other in gold)
