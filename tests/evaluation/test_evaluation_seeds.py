"""Runs of several seeds as one policy: its values are their means, its settings what they share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trajectory_lab as lab
from hypothesis import given
from hypothesis import strategies as st
from results_lab import QUESTIONS, results_of

from drag_rl.errors import InputError
from drag_rl.evaluation.results import read_results, write_results
from drag_rl.evaluation.seeds import by_name, mean_of_runs

FEW = QUESTIONS[:12]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs that find 4, 6 and 9 of 12 questions' pages."""
    index = lab.make_index(tmp_path_factory.mktemp("seeds"))
    return [
        results_of(
            index,
            lambda number, found=found: number < found,
            FEW,
            model=f"m{seed}",
            config={"seed": seed, "episode": {"max_turns": 2, "top_k": seed}},
        )
        for seed, found in enumerate((4, 6, 9), start=1)
    ]


def test_each_question_counts_with_its_mean(runs):
    mean = mean_of_runs(runs)
    assert mean.aggregate["success"].value == pytest.approx((4 + 6 + 9) / 36)
    assert mean.aggregate["success"].n == len(FEW)
    assert [row.metrics["success"] for row in mean.rows] == pytest.approx(
        [1] * 4 + [2 / 3] * 2 + [1 / 3] * 3 + [0] * 3
    )
    # A rank that only some runs have is the mean of those.
    assert [row.metrics["first_hit_rank"] for row in mean.rows] == [1.0] * 9 + [None] * 3
    assert mean.aggregate["first_hit_rank"].n == 9
    assert mean.samples == 3 and mean.model == "m1, m2, m3"
    assert [[sample.sample for sample in row.samples] for row in mean.rows] == [[0, 1, 2]] * len(FEW)
    assert mean.config == {"episode": {"max_turns": 2}}
    assert mean.seconds == 3.0


@given(st.permutations(range(3)))
def test_the_order_of_the_runs_does_not_matter(runs, order):
    one, other = mean_of_runs(runs), mean_of_runs([runs[number] for number in order])
    np.testing.assert_allclose(one.values_QM, other.values_QM, rtol=1e-12)


def test_a_run_and_itself_are_as_sure_as_the_run_alone(runs):
    mean = mean_of_runs([runs[1], runs[1]])
    np.testing.assert_array_equal(mean.values_QM, runs[1].values_QM)
    assert mean.aggregate == runs[1].aggregate
    assert mean_of_runs([runs[1]]) == runs[1]


def test_the_mean_is_a_result_that_can_be_written(runs, tmp_path):
    mean = mean_of_runs(runs)
    write_results(tmp_path / "mean.json", mean)
    assert read_results(tmp_path / "mean.json") == mean


def test_files_of_one_name_are_one_policy_in_the_place_of_the_first(runs):
    names = ["1/base.json", "2/base.json", "1/tuned.json", "3/base.json"]
    found = by_name([Path(name) for name in names], [*runs, runs[0]])
    assert list(found) == [Path("1/base.json"), Path("1/tuned.json")]
    assert found[Path("1/tuned.json")] == runs[2]
    assert found[Path("1/base.json")] == mean_of_runs([runs[0], runs[1], runs[0]])


def test_runs_on_other_questions_are_refused(runs):
    with pytest.raises(InputError, match="other questions"):
        by_name(
            [Path("1/base.json"), Path("2/base.json")],
            [runs[0], replace(runs[1], fingerprints={**runs[1].fingerprints, "question_set": "x"})],
        )
