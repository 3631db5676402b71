"""``drag format`` where a search lists new pages only: a query alone is worth its rank over the whole corpus."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
import trajectory_lab as lab
from format_lab import INDEX, PUMPS, all_rows, build, contents
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.star.formats import dpo, reward, sft
from drag_rl.star.formats.build import FORMATS
from drag_rl.star.formats.conversation import Conversations, QuestionGroup
from drag_rl.trajectories.rows import trajectory_from_row, trajectory_to_row

READING_ON = EpisodeConfig(think=False, repeat_pages=False)
ALONE = tuple(name for name, kind in FORMATS.items() if kind.alone)


def whole_rank(query):
    return INDEX.search(query, 3, PUMPS.gold_page_ids, snippet_chars=0).gold_ranks[0]


def test_the_better_query_is_chosen_though_the_worse_one_had_listed_the_page_before(tmp_path):
    worse, better = lab.search("packing"), lab.search("impeller")
    assert (whole_rank("packing"), whole_rank("impeller")) == (3, 1)
    trajectory = lab.played(INDEX, PUMPS, [worse, better], READING_ON)
    assert [turn.gold_rank for turn in trajectory.outcome.searches] == [3, None]
    rows, _ = build(tmp_path, [trajectory], READING_ON)
    (pair,) = all_rows(rows, "dpo")
    assert (contents(pair, "chosen"), contents(pair, "rejected")) == ([better], [worse])
    assert (pair["chosen_rank"], pair["rejected_rank"]) == (1, 3)
    (best,) = all_rows(rows, "sft_best")
    assert (contents(best), best["best_rank"]) == ([better], 1)


def test_a_miss_said_twice_is_a_miss(tmp_path):
    miss = lab.search("cavitation")
    assert whole_rank("cavitation") == 4
    trajectory = lab.played(INDEX, PUMPS, [miss, miss], READING_ON)
    assert [turn.gold_rank for turn in trajectory.outcome.searches] == [4, 1], "it read on"
    rows, _ = build(tmp_path, [trajectory], READING_ON)
    assert not all_rows(rows, "sft_query") and not all_rows(rows, "sft_best") and not all_rows(rows, "dpo")
    (row,) = all_rows(rows, "reward")
    assert (row["query"], row["best_rank"], row["rank_score"]) == ("cavitation", 4, 0.0)
    # In the conversation, which has listed three pages, saying it again does find the page.
    (context,) = all_rows(rows, "sft_context")
    assert (contents(context), context["best_rank"]) == ([miss, miss], 1)


@settings(max_examples=25)
@given(scripts=st.lists(lab.scripts(READING_ON), min_size=1, max_size=3))
def test_every_query_alone_has_its_rank_over_the_whole_corpus(scripts):
    kept = [lab.played(INDEX, PUMPS, texts, READING_ON, sample=n) for n, texts in enumerate(scripts)]
    made = {(t.sample, turn.step): turn.action.query for t in kept for turn in t.outcome.searches}
    data = QuestionGroup(question=PUMPS, kept=tuple(kept)), Conversations(READING_ON), Counter()
    for row in (*sft.query_rows(*data), *sft.best_rows(*data)):
        assert row["best_rank"] == whole_rank(made[row["sample"], row["step"]]) <= 3
    for row in reward.rows(*data):
        assert row["best_rank"] == whole_rank(row["query"])
    for row in dpo.Pairs(margin=0.0).rows(*data):
        if row["source"] == "within":
            for side in ("chosen", "rejected"):
                assert row[f"{side}_rank"] == whole_rank(made[row[f"{side}_sample"], row[f"{side}_step"]])


def older(trajectory):
    """The trajectory as a file of an older version holds it."""
    row = trajectory_to_row(trajectory)
    del row["search_only"], row["episode"]
    for iteration in row["iterations"]:
        del iteration["corpus_ranks"], iteration["shown"]
    return trajectory_from_row(json.loads(json.dumps(row)))


def test_an_older_file_is_refused_only_where_it_cannot_say_the_rank(tmp_path):
    first, later = (
        older(lab.played(INDEX, PUMPS, texts, READING_ON))
        for texts in (
            [lab.search("impeller")],
            [lab.search("zebra"), lab.search("packing"), lab.search("impeller")],
        )
    )
    rows, _ = build(tmp_path / "first", [first], READING_ON)
    assert len(all_rows(rows, "sft_query")) == 1, "nothing was left out of the first search"
    with pytest.raises(
        InputError, match=r"processed.jsonl: traj_pumps-1_0 was collected with repeat_pages=false"
    ):
        build(tmp_path / "later", [later], READING_ON)
    others = tuple(name for name in FORMATS if name not in ALONE)
    rows, _ = build(tmp_path / "others", [later], READING_ON, formats=others)
    assert len(all_rows(rows, "sft_trajectory")) == 1
    repeating = older(lab.played(INDEX, PUMPS, [lab.search("packing"), lab.search("impeller")]))
    rows, _ = build(tmp_path / "repeating", [repeating])
    assert [row["best_rank"] for row in all_rows(rows, "sft_query")] == [3, 1]
    assert replace(repeating.outcome, turns=()) == replace(
        repeating.outcome, turns=(), config=EpisodeConfig()
    ), "a row of before says no more of its configuration than it says"
