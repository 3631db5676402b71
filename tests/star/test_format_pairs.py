"""``drag format``'s pairs of queries: they hold their margin, share what was said before, and never contradict."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
import trajectory_lab as lab
from format_lab import INDEX, PUMPS, SEAL, all_rows, build
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.star.formats import dpo
from drag_rl.star.formats.conversation import Conversations, QuestionGroup
from drag_rl.star.turns import searches
from drag_rl.types import query_key


@settings(max_examples=30)
@given(trajectories=lab.files_of_trajectories(INDEX), margin=st.sampled_from([0.0, 0.1, 0.34, 0.67]))
def test_pairs_hold_their_margin_and_never_contradict(trajectories, margin):
    by_question = defaultdict(list)
    for trajectory in sorted(trajectories, key=lambda t: t.sample):
        by_question[trajectory.outcome.question].append(trajectory)
    pairs, talk = dpo.Pairs(margin), Conversations(lab.PLAIN)
    groups = [QuestionGroup(question=question, kept=tuple(kept)) for question, kept in by_question.items()]
    rows = [row for group in groups for row in pairs.rows(group, talk, Counter())]
    ranks = {
        (t.outcome.question.question_id, t.sample, turn.step): rank
        for t in trajectories
        for turn, _, rank in searches(t.outcome)
    }
    over = set()
    for row in rows:
        sides = [(row["question_id"], row[f"{s}_sample"], row[f"{s}_step"]) for s in ("chosen", "rejected")]
        assert [ranks[side] for side in sides] == [row["chosen_rank"], row["rejected_rank"]]
        assert row["margin"] == pytest.approx(dpo.preference(row["chosen_rank"], row["rejected_rank"], 3))
        assert row["margin"] >= margin - 1e-6
        assert row["margin"] > 0
        assert (row["chosen_sample"] == row["rejected_sample"]) == (row["source"] == "within")
        queries = [
            query_key(row[side][0]["content"].rpartition("<search>")[2].removesuffix("</search>"))
            for side in ("chosen", "rejected")
        ]
        assert queries[0] != queries[1]
        prompt = json.dumps(row["prompt"])
        assert row["prompt"][-1]["role"] == "user"
        assert (prompt, *queries) not in over
        over.add((prompt, *queries))
    assert not any((prompt, worse, better) in over for prompt, better, worse in over)


def test_of_two_pairs_that_contradict_only_one_stays(tmp_path):
    """Two questions of the same words want different pages, so their prompts are one and their judgements opposite."""
    twins = [replace(q, question_id=f"twin-{n}", text="What?") for n, q in enumerate((PUMPS, SEAL))]
    rows = [
        lab.played(INDEX, twin, [lab.search(query)], sample=n)
        for twin in twins
        for n, query in enumerate(("impeller", "seal"))
    ]
    found_rows, manifest = build(tmp_path, rows, formats=("dpo",))
    (pair,) = all_rows(found_rows, "dpo")
    assert pair["question_id"] == "twin-0"
    assert manifest.counts["dpo_contradicting"] == 1


def test_deeper_turns_pair_only_where_all_before_them_is_equal(tmp_path):
    same, other = lab.search("rotor"), lab.search("blade")
    rows = [
        lab.played(INDEX, PUMPS, [same, lab.search("impeller")]),
        lab.played(INDEX, PUMPS, [same, lab.search("gate")], sample=1),
        lab.played(INDEX, PUMPS, [other, lab.search("stem")], sample=2),
    ]
    pairs = all_rows(build(tmp_path, rows, formats=("dpo",))[0], "dpo")
    (deep,) = [row for row in pairs if row["source"] == "across"]
    assert (deep["chosen_sample"], deep["rejected_sample"], deep["chosen_step"]) == (0, 1, 2)
    assert [message["role"] for message in deep["prompt"]] == ["system", "user", "assistant", "user"]


def test_the_margin_the_limit_and_the_exact_rank(tmp_path):
    queries = ["rotor", "impeller", "blade", "blade blade impeller"]
    rows = [lab.played(INDEX, PUMPS, [lab.search(query)], sample=n) for n, query in enumerate(queries)]
    build(tmp_path, rows, formats=("dpo",), margin=0.0)
    wide, narrow = (build(tmp_path, rows, formats=("dpo",), margin=margin)[0] for margin in (0.5, 0.0))
    assert 0 < len(all_rows(wide, "dpo")) < len(all_rows(narrow, "dpo"))
    limited, manifest = build(tmp_path, rows, formats=("dpo",), margin=0.0, pairs_per_question=2)
    margins = sorted((row["margin"] for row in all_rows(narrow, "dpo")), reverse=True)
    assert [row["margin"] for row in all_rows(limited, "dpo")] == margins[:2]
    assert manifest.counts["dpo_over_limit"] == len(margins) - 2
    assert dpo.preference(4, 40, top_k=3) > dpo.preference(20, 40, top_k=3) > 0
    assert dpo.preference(3, 4, top_k=3) == pytest.approx(1 / 3)


def test_failures_give_contrast(tmp_path):
    good = lab.played(INDEX, PUMPS, [lab.search("impeller")])
    bad = lab.played(INDEX, PUMPS, [lab.search("zebra")], sample=1)
    alien = lab.played(INDEX, SEAL, [lab.search("zebra")])
    everything = lab.write(tmp_path / "trajectories.jsonl", [good, bad, alien])
    assert not all_rows(build(tmp_path / "a", [good])[0], "dpo")
    rows, manifest = build(tmp_path / "b", [good], contrast=(everything,))
    (pair,) = all_rows(rows, "dpo")
    assert (pair["chosen_rank"], pair["rejected_rank"]) == (1, None)
    assert len(all_rows(rows, "reward")) == 3
    assert len(all_rows(rows, "sft_query")) == len(all_rows(rows, "sft_trajectory")) == 1
    assert (manifest.counts["trajectories"], manifest.counts["trajectories_contrast"]) == (1, 2)


def test_a_hinted_trajectory_loses_its_hint_and_gives_no_pair(tmp_path):
    honest = lab.played(INDEX, PUMPS, [lab.search("rotor")])
    hinted = lab.played(INDEX, PUMPS, [lab.search("impeller")], sample=1, hint_page_ids=("pumps#1",))
    rows, _ = build(tmp_path, [honest, hinted])
    (row,) = all_rows(rows, "sft_query")
    plain, _ = build(tmp_path / "plain", [honest, replace(hinted, hint_page_ids=())])
    assert row.pop("hinted")
    (same,) = all_rows(plain, "sft_query")
    assert not same.pop("hinted")
    assert row == same
    assert not all_rows(rows, "dpo")
    assert all_rows(plain, "dpo")


def test_an_honest_query_is_better_than_an_equal_one_with_a_hint(tmp_path):
    hinted = lab.played(INDEX, PUMPS, [lab.search("impeller")], hint_page_ids=("pumps#1",))
    honest = lab.played(INDEX, PUMPS, [lab.search("rotor"), lab.search("care impeller")], sample=1)
    (best,) = all_rows(build(tmp_path, [hinted, honest])[0], "sft_best")
    assert (best["sample"], best["hinted"]) == (1, False)
