"""What a question took, in one line, from results of now and of older versions."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import trajectory_lab as lab
from results_lab import results_of

from drag_rl.evaluation.costs import costs_line, model_uses
from drag_rl.evaluation.report import results_table
from drag_rl.evaluation.results import Results, read_results, score, write_results
from drag_rl.metrics.costs import METRICS_OF_COSTS
from drag_rl.types import Generation, Trajectory
from drag_rl.types.trajectory import ModelUse

QUESTION = lab.QUESTIONS[0]


def results_with(*messages: Generation) -> Results:
    """Results of one question that is searched twice, with these messages, and answered."""
    index = lab.shared_index()
    texts = [lab.search("impeller"), lab.search("impeller"), lab.answer("It needs care.")]
    config = lab.PLAIN.model_copy(update={"repeat_pages": False})
    trajectory: Trajectory = lab.played(index, QUESTION, texts, config)
    aggregate, rows = score([replace(trajectory, generations=messages)])
    return replace(results_of(index, lambda _: True, [QUESTION]), aggregate=aggregate, rows=rows)


def message(*uses: ModelUse, **fields) -> Generation:
    return Generation(uses=uses, seconds=0.5, **fields)


def test_each_model_is_named_where_there_are_several_and_reading_on_is_told_apart():
    small = ModelUse(model="small", prompt_tokens=700, completion_tokens=30)
    large = ModelUse(model="large", prompt_tokens=900, completion_tokens=1)
    results = results_with(message(small, small), message(read_on=True), message(small, large))
    assert costs_line(results) == (
        "2.00 searches (1.00 until it stopped), 6.00 pages (6.00 different), 3.00 calls of small, 2,100+90 tokens, "
        "1.00 calls of large, 900+1 tokens, 1.50 s a question"
    )
    assert [use.calls for use in model_uses(results)] == [3, 1]
    assert results.aggregate["success_until_stop"].value == 1.0


def test_what_is_not_told_is_left_out(tmp_path):
    results = results_with(message(), message(), message())
    assert costs_line(results).startswith("2.00 searches, 6.00 pages (6.00 different), 1.50 s")
    assert results_table(results).endswith(costs_line(results))
    # An older file: no costs among the metrics, no uses.
    older = json.loads(json.dumps(asdict(results)))
    for metric in METRICS_OF_COSTS:
        del older["aggregate"][metric.name], older["rows"][0]["metrics"][metric.name]
    del older["rows"][0]["samples"][0]["uses"]
    (tmp_path / "older.json").write_text(json.dumps(older))
    assert costs_line(read_results(tmp_path / "older.json")) == "2.00 searches a question"


def test_results_keep_what_each_model_was_asked_of_each_question(tmp_path):
    use = ModelUse(model="small", calls=2, prompt_tokens=7, completion_tokens=3, seconds=0.25)
    results = results_with(message(use), message(), message(use))
    write_results(tmp_path / "r.json", results)
    [row] = read_results(tmp_path / "r.json").rows
    assert row.samples[0].uses == (
        ModelUse(model="small", calls=4, prompt_tokens=14, completion_tokens=6, seconds=0.5),
    )
    assert row.metrics["pages_shown"] == 6 and row.metrics["model_calls"] == 4
