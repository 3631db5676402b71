"""Metrics of stopping, from rows, by an independent computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trajectory_lab as lab
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig
from drag_rl.evaluation.continuation import with_continuations
from drag_rl.evaluation.risk_coverage import risk_coverage
from drag_rl.metrics.measure import measure
from drag_rl.metrics.table import METRICS
from drag_rl.trajectories.rows import trajectory_to_row

NAMES = tuple(name for name in METRICS if name.startswith(("stop", "kept_")) or name in (
    "searches_after_enough", "oracle_searches", "unknown_pages"
))  # fmt: skip
CONFIGS = tuple(
    EpisodeConfig(think=False, max_turns=4, top_k=2, on_malformed="correct", **options)
    for options in (
        {"answer": False, "enough": True},
        {"answer": False, "enough": True, "repeat_pages": False},
        {"enough": True},
        {},
        {"answer": False},
    )
)


@pytest.fixture(scope="module")
def index():
    return lab.shared_index()


def messages(config):
    words = st.lists(st.sampled_from(lab.WORDS[:8]), min_size=1, max_size=2).map(" ".join)
    pages = st.lists(st.sampled_from(["pumps#1", "pumps#2", "turbines#1", "made-up#7"]), max_size=3)
    said = [words.map(lambda query: lab.search(query, config)), st.just("Hm.")]
    if config.enough:
        said.append(pages.map(lambda named: f"<enough>[{'; '.join(named)}]</enough>"))
    if config.answer:
        said.append(st.just(lab.answer("x [pumps#1]", config)))
    return st.lists(st.one_of(said), min_size=1, max_size=4)


def by_hand(row, index):
    """The same numbers from a row of the file, without ``Outcome``."""
    episode, gold = row["episode"], set(row["ground_truth"]["page_ids"])
    turns, top_k, budget = row["iterations"], row["top_k"], row["max_turns"]
    ends_asked = episode["answer"] or episode["enough"]
    search_turns = budget - 1 if ends_asked else budget
    found = np.array(
        [
            [rank is not None and rank <= top_k for rank in turn["gold_ranks"]] or [False] * len(gold)
            for turn in turns
        ]
    )
    covered = np.logical_or.accumulate(found, axis=0).all(axis=1)
    searched = np.array([turn["action"] == "search" for turn in turns])
    total, last = int(searched.sum()), turns[-1]
    first = int(np.argmax(covered)) if covered.any() else None
    stops = last["action"] in ("enough", "answer") and len(turns) <= search_turns
    needed = None if first is None else int(searched[: first + 1].sum())
    named = [*last.get("pages", []), *last.get("unknown_pages", [])] if last["action"] == "enough" else None
    listed = {hit["page_id"] for turn in turns for hit in turn["results"]}
    seen = {hit["page_id"] for turn in turns if turn["observation"] for hit in turn["results"]}
    right = len(gold & seen & set(named or []))
    rest = [page for page in ranked(index, row["question"]) if page not in listed]
    reads_on = gold <= listed | set(rest[: (search_turns - total) * top_k])
    return {
        "stopped": float(stops) if ends_asked else math.nan,
        "stop_precision": float(first is not None) if stops else math.nan,
        "stop_recall": (
            float(stops and total == needed)
            if first is not None and ends_asked and first + 1 < search_turns
            else math.nan
        ),
        "stopped_too_early": float(first is None and reads_on) if stops else math.nan,
        "searches_after_enough": math.nan if first is None else float(total - needed),
        "oracle_searches": float(needed or total),
        "kept_precision": right / len(named) if named else math.nan,
        "kept_recall": right / len(gold) if named is not None else math.nan,
        "unknown_pages": float(len(last["unknown_pages"])) if named is not None else math.nan,
    }


def ranked(index, question):
    return [hit.page_id for hit in index.search(question, len(index), snippet_chars=0).hits]


@settings(max_examples=30)
@given(data=st.data(), config=st.sampled_from(CONFIGS), question=st.sampled_from(lab.QUESTIONS[:3]))
def test_they_equal_an_independent_computation(index, data, config, question):
    trajectory = lab.played(index, question, data.draw(messages(config)), config)
    [told] = with_continuations([trajectory], index.retriever)
    [measured] = measure([told])
    wanted = by_hand(trajectory_to_row(trajectory), index)
    assert set(wanted) == set(NAMES)
    assert {name: measured[name] for name in NAMES} == pytest.approx(wanted, nan_ok=True)


def test_an_episode_that_stops_too_early_and_one_that_searches_on(index):
    config = CONFIGS[1]
    asked = lab.QUESTIONS[0]
    early = lab.played(index, asked, [lab.search("seal discharge"), "<enough>[pumps#2]</enough>"], config)
    late = lab.played(
        index, asked, [lab.search("impeller"), lab.search("seal"), "<enough>[pumps#1; x#1]</enough>"], config
    )
    well = lab.played(index, asked, [lab.search("impeller"), "<enough>[pumps#1]</enough>"], config)
    rows = measure(with_continuations([early, late, well], index.retriever))
    assert [row["stop_precision"] for row in rows] == [0, 1, 1]
    assert [row["stopped_too_early"] for row in rows] == [1, 0, 0]
    assert [row["searches_after_enough"] for row in rows][1:] == [1, 0]
    assert [row["stop_recall"] for row in rows][1:] == [0, 1]
    assert [row["kept_precision"] for row in rows] == [0, 0.5, 1]
    points = risk_coverage([one.outcome for one in (early, late, well)])
    assert [(p.searches, p.coverage, p.risk) for p in points] == [(1, 2 / 3, 0.5), (2, 1.0, 1 / 3)]
    # Unless somebody looked, nobody knows whether the first stopped too early.
    assert math.isnan(measure([early])[0]["stopped_too_early"])
