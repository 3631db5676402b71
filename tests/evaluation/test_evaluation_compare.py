"""Comparisons: the same says nothing, a real gain says so, and what cannot be compared is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import trajectory_lab as lab
from hypothesis import given
from hypothesis import strategies as st
from results_lab import QUESTIONS, N, results_of

from drag_rl.errors import InputError
from drag_rl.evaluation.chart import draw
from drag_rl.evaluation.compare import compare
from drag_rl.evaluation.report import comparison_text, markdown_table, one_line, results_table
from drag_rl.evaluation.results import (
    question_set,
    read_results,
    write_results,
)
from drag_rl.files.codec import to_json
from drag_rl.metrics.table import HEADLINES, METRICS
from drag_rl.types import Question


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return lab.make_index(tmp_path_factory.mktemp("compare"))


@pytest.fixture(scope="module")
def base(index):
    return results_of(index, lambda number: number % 10 < 4)


@pytest.fixture(scope="module")
def better(index):
    """Ten points more: 45 questions won, 15 lost."""
    won, lost = set(range(4, N, 10)) | set(range(5, N, 20)), set(range(0, N, 20))
    return results_of(index, lambda number: number in won or (number % 10 < 4 and number not in lost))


def paths(tmp_path, *names):
    return [tmp_path / f"{name}.json" for name in names]


def test_the_same_results_say_nothing_on_any_metric(base, tmp_path):
    comparison = compare(paths(tmp_path, "a", "b"), [base, base])
    [pair] = comparison.pairs
    assert len(pair.lines) > 40
    assert {line.verdict for line in pair.lines} == {"can't tell"}
    assert all(line.wins == line.losses == 0 and line.ties == line.n for line in pair.lines)
    assert pair.won == pair.lost == () and pair.notes == ()


def test_ten_points_on_300_questions_are_better(base, better, tmp_path):
    comparison = compare(paths(tmp_path, "base", "tuned"), [base, better])
    lines = {line.metric: line for line in comparison.pairs[0].lines}
    success = lines["success"]
    assert success.change.value == pytest.approx(0.1) and success.relative == pytest.approx(0.25)
    assert (success.wins, success.losses, success.ties) == (45, 15, 240)
    for metric in (
        "success",
        "first.mrr",
        "first.hit@1",
        "best.ndcg@10",
        "pooled.recall@20",
        "first.gold_rank",
    ):
        assert lines[metric].verdict == "better"
    assert lines["first.gold_rank"].change.value < 0
    assert lines["iterations"].verdict == "can't tell"
    assert len(comparison.pairs[0].won) == len(comparison.pairs[0].lost) == 5
    assert [example.base.question_id for example in comparison.pairs[0].won] == [
        "q004",
        "q005",
        "q014",
        "q024",
        "q025",
    ]


def test_the_other_way_round_they_are_worse(base, better, tmp_path):
    [backwards] = compare(paths(tmp_path, "tuned", "base"), [better, base]).pairs
    assert {line.metric: line.verdict for line in backwards.lines}["first.gold_rank"] == "worse"
    assert {line.metric: line.verdict for line in backwards.lines}["success"] == "worse"


def test_a_metric_of_some_questions_is_compared_on_those_that_both_have(index, tmp_path):
    few = QUESTIONS[:20]
    base = results_of(index, lambda number: number < 10, few)
    other = results_of(index, lambda number: number < 15, few)
    lines = {line.metric: line for line in compare(paths(tmp_path, "a", "b"), [base, other]).pairs[0].lines}
    rank = lines["first_hit_rank"]
    assert (rank.base.n, rank.other.n, rank.n) == (10, 15, 10)
    assert rank.change.value == 0.0 and rank.verdict == "can't tell"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "val"}, "split 'val'"),
        ({"fingerprints": {"question_set": "other"}}, "other questions"),
        ({"fingerprints": {"index": "other"}}, "another index"),
    ],
)
def test_what_cannot_be_compared_is_refused(base, tmp_path, changes, words):
    fields = {**changes}
    if "fingerprints" in fields:
        fields["fingerprints"] = {**base.fingerprints, **fields["fingerprints"]}
    with pytest.raises(InputError, match=words) as refused:
        compare(paths(tmp_path, "base", "other"), [base, replace(base, **fields)])
    assert "\n" not in str(refused.value) and str(tmp_path / "other.json") in str(refused.value)


def test_indexes_of_the_same_pages_can_be_compared(base, tmp_path):
    other = replace(base, fingerprints={**base.fingerprints, "index": "other"})
    both = paths(tmp_path, "a", "b")
    lines = compare(both, [base, other], across_indexes=True).pairs[0].lines
    assert lines and all(line.change.value == 0 for line in lines)
    with pytest.raises(InputError, match="searched 3 pages"):
        compare(both, [base, replace(other, corpus_pages=3)], across_indexes=True)


def test_other_settings_are_named(base, tmp_path):
    config = {**base.config, "episode": {**base.config["episode"], "max_turns": 1}}
    comparison = compare(paths(tmp_path, "a", "b"), [base, replace(base, config=config)])
    assert comparison.pairs[0].notes == ("episode.max_turns is 4 in the base and 1 here",)
    assert "episode.max" in comparison_text(comparison, everything=False)


def test_files_of_one_name_are_told_apart(base, tmp_path):
    files = [tmp_path / "one" / "r.json", tmp_path / "two" / "r.json"]
    assert list(compare(files, [base, base]).policies) == ["one/r", "two/r"]
    assert len(compare([files[0], files[0]], [base, base]).policies) == 2


def test_the_report_has_the_seeds_table_and_the_picture_is_drawn(base, better, tmp_path):
    comparison = compare(paths(tmp_path, "base", "_tuned$", "third"), [base, better, base])
    short, whole = (comparison_text(comparison, everything=everything) for everything in (False, True))
    for label in HEADLINES.values():
        assert f"| {label} " in short
    assert "| Success Rate " in short and "+10.0 [" in short and "+25.0 %" in short and "45/15/240" in short
    assert "better" in short and "can't tell" in short and "### Won" in short and "zebra" in short
    apply = [METRICS[name] for name, aggregate in base.aggregate.items() if aggregate.n]
    assert len(apply) > 50 and all(f"| {metric.label} " in whole for metric in apply)
    assert json.loads(to_json(comparison))["pairs"][0]["lines"][0]["verdict"] == "better"
    draw(comparison, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_text_of_models_stays_on_its_line_and_acts_nowhere(index, tmp_path):
    hostile = Question(
        question_id="x", text="a | b\n# **bold** <script>\x1b[31m" + "y" * 1000, gold_page_ids=("pumps#1",)
    )
    base = results_of(index, lambda _: False, (hostile,))
    text = comparison_text(
        compare(paths(tmp_path, "a|\n", "b"), [base, results_of(index, lambda _: True, (hostile,))]),
        everything=True,
    )
    assert "<script" not in text and "\x1b" not in text and "\n# **" not in text
    assert max(map(len, text.splitlines())) < 1000


@given(st.text())
def test_one_line_is_one(text):
    assert len(one_line(text).splitlines()) <= 1


def test_a_table_is_aligned():
    lines = markdown_table(["a", "b|"], [["long", "1"], ["x", "22"]]).splitlines()
    assert lines == ["| a    | b\\| |", "| :--- | --: |", "| long |   1 |", "| x    |  22 |"]


def test_results_are_read_as_they_were_written(base, tmp_path):
    write_results(tmp_path / "r.json", base)
    assert read_results(tmp_path / "r.json") == base
    lines = {line.split("|")[1].strip(): line for line in results_table(base).splitlines() if "|" in line}
    assert "40.0 % [" in lines["Success Rate"] and "300 |" in lines["Success Rate"]
    assert "120 |" in lines["Iterations to Success"]
    whole = results_table(base, everything=True)
    assert all(
        f"| {METRICS[name].label} " in whole for name in ("first.recall@20", "first.ndcg@5", "pooled.mrr")
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        ("{", "no results"),
        ("[]", "no results"),
        ('{"format": "drag-rl results 2"}', "format"),
    ],
)
def test_what_are_no_results_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "r.json").write_text(content)
    with pytest.raises(InputError, match=words):
        read_results(tmp_path / "r.json")


@pytest.mark.parametrize("kept", [(), ("best.mrr",)])
def test_results_without_their_aggregates_are_refused(base, kept, tmp_path):
    left = {name: base.aggregate[name] for name in kept if name in base.aggregate}
    write_results(tmp_path / "r.json", replace(base, aggregate=left))
    with pytest.raises(InputError, match=r"r\.json: aggregate: lacks \S+, which rows have; measure again"):
        read_results(tmp_path / "r.json")
    write_results(tmp_path / "r.json", replace(base, rows=()))
    with pytest.raises(InputError, match=r"r\.json: holds no question"):
        read_results(tmp_path / "r.json")


def test_results_of_a_version_with_fewer_metrics_are_read(base, tmp_path):
    known = {name: value for name, value in base.aggregate.items() if name != "token_f1"}
    rows = tuple(
        replace(row, metrics={name: value for name, value in row.metrics.items() if name != "token_f1"})
        for row in base.rows
    )
    write_results(tmp_path / "r.json", replace(base, aggregate=known, rows=rows))
    assert read_results(tmp_path / "r.json").aggregate["token_f1"].n == 0


def test_the_fingerprint_of_questions_depends_on_them_and_on_nothing_else():
    some = list(lab.QUESTIONS)
    assert question_set(some) == question_set(some[::-1])
    for change in ({"text": "?"}, {"gold_page_ids": ("pumps#2",)}, {"answers": ("x",)}, {"question_id": "x"}):
        assert question_set([replace(some[0], **change), *some[1:]]) != question_set(some)
    assert question_set([replace(some[0], gold_grades=(2,)), *some[1:]]) != question_set(some)
    assert question_set([replace(some[0], gold_grades=(1,)), *some[1:]]) == question_set(some)
