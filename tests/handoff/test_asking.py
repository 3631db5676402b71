"""A question's steps: those of the episode that is evaluated, then the answer; ended early they leave nothing open."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
import trajectory_lab as lab
from fake_openai import Failure, FakeServer
from handoff_lab import QUESTION, cites_first, given_pages, steps_of
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.handoff.asking import Answered, asking
from drag_rl.handoff.choosing import best_first
from drag_rl.handoff.options import SessionOptions
from drag_rl.handoff.session import asked_question
from drag_rl.policies.base import PolicyFailed
from drag_rl.policies.play import Ended, Searched, Wrote, play
from drag_rl.policies.source import PolicyOptions
from drag_rl.types import Answer, Search


@pytest.fixture(scope="module")
def index():
    return lab.shared_index()


@settings(max_examples=25)
@given(lab.scripts())
def test_the_episode_is_the_one_that_is_played(texts):
    index = lab.shared_index()
    steps = steps_of(index, texts)
    played = lab.played(index, QUESTION, texts)
    [ended] = [step for step in steps if isinstance(step, Ended)]
    assert ended.outcome == played.outcome
    wrote = [step for step in steps if isinstance(step, Wrote)]
    searched = [step for step in steps if isinstance(step, Searched)]
    assert [step.turn.action for step in wrote] == [turn.action for turn in played.outcome.turns]
    assert [step.turn.hits for step in searched] == [turn.hits for turn in played.outcome.searches]
    assert [type(step) for step in steps[-2:]] == [Ended, Answered]


def test_steps_come_as_they_happen(index):
    order = []
    with FakeServer(lambda request: order.append("generator") or cites_first(request)) as server:
        texts = [lab.search("impeller"), lab.search("blade"), lab.answer("x")]
        steps_of(index, texts, server, seen=lambda step: order.append(type(step).__name__))
    assert order == [
        *("Wrote", "Searched", "Wrote", "Searched", "Wrote", "Ended"),
        *("generator", "Answered"),
    ]


def test_the_generator_is_given_the_best_pages_and_its_answer_is_the_last_step(index):
    with FakeServer(cites_first) as server:
        *_, ended, answered = steps_of(index, [lab.search("impeller"), lab.answer("x")], server)
        pages = given_pages(server.requests[0])
    assert answered.by == "generator" and answered.page_ids == best_first(ended.outcome) == tuple(pages)
    assert answered.answer.citations == (answered.page_ids[0],)


def test_without_one_the_searcher_answers_with_citations_of_what_it_was_shown(index):
    shown = index.search("impeller", 3).hits[0].page_id
    answer = lab.answer(f"It needs care [{shown}; made-up#1].")
    *_, answered = steps_of(index, [lab.search("impeller"), answer])
    assert answered.by == "searcher" and answered.answer.text == f"It needs care [{shown}]."
    assert answered.answer.citations == (shown,) and answered.answer.dropped_citations == ("made-up#1",)
    *_, nobody = steps_of(index, [lab.search("impeller")] * lab.PLAIN.max_turns)
    assert nobody.by == "nobody" and nobody.answer is None and nobody.page_ids[0] == shown


def test_a_failed_generator_is_told(index):
    with FakeServer(lambda _: Failure(status=400, message="no")) as server, pytest.raises(PolicyFailed):
        steps_of(index, [lab.search("impeller")], server)


@given(stop_after=st.integers(1, 5))
def test_ended_early_nothing_goes_on(stop_after):
    index = lab.shared_index()
    texts = [lab.search("impeller"), lab.search("blade"), lab.answer("x")]

    async def some():
        script = lab.Script(texts, lab.PLAIN)
        async with aclosing(asking(QUESTION, script, index.retriever, lab.PLAIN)) as steps:
            seen = 0
            async for _ in steps:
                seen += 1
                if seen == stop_after:
                    break
        return len(script._texts), asyncio.all_tasks() - {asyncio.current_task()}

    left, tasks = asyncio.run(some())
    assert left == len(texts) - (stop_after + 1) // 2 and not tasks


def test_a_question_that_is_asked_has_no_gold_and_plays_all_the_same(index):
    question = asked_question("  What does the handbook say about the seal?\n")
    assert question.text == "What does the handbook say about the seal?" and question.gold_page_ids == ()
    assert question == asked_question("What does the handbook say about the seal?")
    script = lab.Script([lab.search("seal"), lab.answer("x")], lab.PLAIN)
    outcome, _ = asyncio.run(play(question, script, index.retriever, lab.PLAIN))
    assert isinstance(outcome.turns[0].action, Search) and isinstance(outcome.turns[1].action, Answer)
    with pytest.raises(ValueError, match="empty"):
        asked_question(" \n")


@pytest.mark.parametrize("name", ["oracle-depth", "probe-echo"])
def test_what_reads_gold_pages_cannot_be_asked(name, tmp_path):
    options = SessionOptions(index=tmp_path, policy=PolicyOptions(name=name), episode=lab.PLAIN)
    with pytest.raises(ValueError, match="reads a question's gold pages"):
        options.source()
