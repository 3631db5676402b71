"""Where no answer is asked for, nothing is said of answers: not in results, not in comparisons."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import trajectory_lab as lab
from results_lab import results_of

from drag_rl.episode import EpisodeConfig
from drag_rl.evaluation.compare import compare
from drag_rl.evaluation.evaluate import Evaluation, trajectories_path
from drag_rl.evaluation.results import question_set, score
from drag_rl.metrics.table import METRICS
from drag_rl.policies.source import PolicyOptions
from drag_rl.questions import write_questions
from drag_rl.star.collection import Collection, Progress

OF_ANSWERS = {"answered", "answer_success", "exact_match", "token_f1", "anls"} | {
    f"citation_{name}" for name in ("precision", "recall", "f1")
}


@pytest.mark.parametrize("turns", [1, 2])
def test_what_was_not_asked_for_has_no_value_and_no_line(tmp_path, turns):
    index, questions = lab.shared_index(), lab.QUESTIONS[:3]
    config = EpisodeConfig(think=False, max_turns=turns, answer=False)
    says = [lab.search("impeller"), lab.search("seal")]
    aggregate, rows = score([lab.played(index, question, says, config) for question in questions])
    assert {name for name, found in aggregate.items() if found.n == 0} >= OF_ANSWERS
    assert all(aggregate[name].value is None for name in OF_ANSWERS)
    assert all(row.metrics[name] is None for row in rows for name in OF_ANSWERS)
    asked = results_of(index, lambda _: True, questions)
    results = replace(asked, aggregate=aggregate, rows=rows)
    assert results.fingerprints["question_set"] == question_set(questions)
    for other in (results, asked):
        [pair] = compare([tmp_path / "a.json", tmp_path / "b.json"], [results, other]).pairs
        lines = {line.metric for line in pair.lines}
        assert not lines & OF_ANSWERS and {"success", "first.mrr"} <= lines <= METRICS.keys()


def test_rows_of_older_versions_are_measured_by_their_files_settings(tmp_path):
    lab.make_index(tmp_path)
    write_questions(tmp_path / "questions.parquet", lab.QUESTIONS[:3], "test")
    out = trajectories_path(tmp_path / "raw.json")
    evaluation = Evaluation(
        output=tmp_path / "raw.json",
        collection=Collection(
            policy=PolicyOptions(name="raw-question"),
            questions=tmp_path / "questions.parquet",
            index=tmp_path / "index",
            out=out,
            episode=EpisodeConfig(think=False, max_turns=2, answer=False),
        ),
    )
    before = evaluation.run(Progress())
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    for row in rows:
        assert row.pop("search_only") is True
        del row["episode"]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = evaluation.run(Progress())
    assert again.aggregate == before.aggregate and again.aggregate["answered"].value is None
