"""Scores of a generator's answers: bounded, 0 for a failure, undefined where nobody was asked, sets counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import trajectory_lab as lab
from anls_star import anls_score
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.metrics.generated import METRICS_OF_ANSWERS
from drag_rl.metrics.table import METRICS, SHORT_TABLE
from drag_rl.types import Generated, Question

OF = {metric.name.removeprefix("generator."): metric.of for metric in METRICS_OF_ANSWERS}
PAGES = ("pumps#1", "pumps#2", "pumps#3", "cables#1")
QUESTION = Question(
    question_id="q", text="What needs care?", gold_page_ids=PAGES[:2], answers=("The impeller.", "a seal")
)


def trajectory(generated, question=QUESTION):
    played = lab.played(lab.shared_index(), question, [lab.search("impeller"), lab.answer("x")])
    return replace(played, generated=generated)


PLAYED = trajectory(None)
ids = st.lists(st.sampled_from(PAGES), unique=True).map(tuple)
answers = st.builds(
    Generated,
    page_ids=ids,
    text=st.sampled_from(["", "The impeller", "the seal [pumps#2]", "A seal.", "NOT ANSWERABLE", "wires"]),
    citations=ids,
    dropped_citations=st.lists(st.sampled_from(["x#1", "y#2"]), unique=True).map(tuple),
    refused=st.booleans(),
)


def values(generated):
    asked = replace(PLAYED, generated=generated)
    return {name: of(asked) for name, of in OF.items()}


@given(answers)
def test_shares_and_scores_are_what_sets_say(generated):
    value = values(generated)
    gold, cited = set(QUESTION.gold_page_ids), set(generated.citations)
    everything = cited | set(generated.dropped_citations)
    precision = len(cited & gold) / len(everything) if everything else 0.0
    recall = len(cited & gold) / len(gold)
    assert value["citation_precision"] == pytest.approx(precision)
    assert value["citation_recall"] == pytest.approx(recall)
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else 0.0
    assert value["citation_f1"] == pytest.approx(f1)
    assert value["gold_given"] == len(gold & set(generated.page_ids)) / 2
    assert value["pages"] == len(generated.page_ids) and value["refused"] == generated.refused
    text = generated.text.replace(" [pumps#2]", "")
    assert value["anls"] == pytest.approx(anls_score(QUESTION.answers, text) if text else 0.0)
    for metric in METRICS_OF_ANSWERS:
        found = value[metric.name.removeprefix("generator.")]
        assert math.isnan(found) or (found >= 0 and (metric.unit == "number" or found <= 1))


def test_a_failed_answer_scores_nothing_and_stays_in_the_denominator():
    value = values(Generated(error="no"))
    undefined = {name for name, found in value.items() if math.isnan(found)}
    assert undefined == {"pages", "prompt_tokens", "completion_tokens", "seconds"}
    assert value.pop("error_rate") == 1.0
    assert not any(found for name, found in value.items() if name not in undefined)


def test_where_nobody_was_asked_or_no_answer_is_known_it_does_not_apply():
    assert all(math.isnan(of(PLAYED)) for of in OF.values())
    unknown = trajectory(Generated(text="x"), replace(QUESTION, answers=()))
    texts = {"answer_success", "exact_match", "token_f1", "anls"}
    assert {name for name in texts if math.isnan(OF[name](unknown))} == texts
    assert OF["citation_recall"](unknown) == 0.0


def test_they_are_in_the_table():
    assert {metric.name for metric in METRICS_OF_ANSWERS} <= set(METRICS) and set(SHORT_TABLE) <= set(METRICS)
