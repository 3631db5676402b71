"""Policies that stop by a rule: the same searches, ended at the right moment, by a confidence that can be checked."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trajectory_lab as lab
from fake_openai import FakeServer, Raw
from hypothesis import given, settings
from hypothesis import strategies as st
from policies_lab import BASELINES, play_by_name

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.policies.play import play
from drag_rl.policies.server.completion import TokenLogProb
from drag_rl.policies.source import PolicyOptions
from drag_rl.policies.stopping.drafting import margin
from drag_rl.policies.table import policy_source
from drag_rl.serving.served_model import ModelChoice
from drag_rl.types import StopReason, Trajectory

CONFIG = EpisodeConfig(think=False, answer=False, enough=True, max_turns=4, top_k=2, repeat_pages=False)


@pytest.fixture(scope="module")
def index():
    return lab.shared_index()


def played(index, name, question, config=CONFIG, *, model=None, **options) -> Trajectory:
    """One episode of a rule; ``options`` are its own."""
    source = policy_source(
        PolicyOptions(name=name, settings=options, model=model or ModelChoice(), sampling="greedy")
    )
    source.check(config, 1)

    async def run():
        policies = opened.new(question, 0)
        try:
            return await play(question, policies, index.retriever, source.episode(config))
        finally:
            await opened.close()

    with source.open(index.retriever, Path("log")) as opened:
        outcome, generations = asyncio.run(run())
    return Trajectory(outcome=outcome, generations=generations)


QUESTIONS = st.sampled_from(lab.QUESTIONS) | st.lists(
    st.sampled_from([*lab.WORDS, "zebra", "the"]), min_size=1, max_size=5
).map(lambda words: replace(lab.QUESTIONS[0], text=" ".join(words)))


@settings(max_examples=25)
@given(
    question=QUESTIONS,
    searches=st.sampled_from(["raw-question", "feedback"]),
    text=st.sampled_from(["together", "best"]),
)
def test_coverage_is_the_questions_idf_that_was_shown(index, question, searches, text):
    trajectory = played(index, "stop-coverage", question, threshold=1.0, searches=searches, text=text)
    stem = index.pages.tokenizer
    terms = lambda words: {term for _, _, term in stem.spans(words)}  # noqa: E731
    pages = [terms(index.pages.text(page_id)) for page_id in index.pages.page_ids]
    asked = [term for term in terms(question.text) if any(term in page for page in pages)]
    held = np.array([sum(term in page for page in pages) for term in asked])
    idf = np.log(1 + (len(pages) - held + 0.5) / (held + 0.5))
    texts = []
    for turn, generation in zip(trajectory.outcome.turns, trajectory.generations, strict=True):
        if generation.signal is not None:
            shown = [" ".join(texts)] if text == "together" else texts
            shares = [
                idf @ np.array([term in terms(one) for term in asked]) / idf.sum() for one in shown if asked
            ]
            assert math.isclose(generation.signal, max(shares, default=1.0), abs_tol=1e-9)
        texts += turn.shown_texts


@settings(max_examples=25)
@given(question=QUESTIONS, threshold=st.floats(0, 1))
def test_one_run_that_never_stops_tells_where_any_threshold_would(index, question, threshold):
    whole = played(index, "stop-coverage", question, threshold=1.0)
    stopped = played(index, "stop-coverage", question, threshold=threshold)
    assert whole.outcome.queries == played(index, "raw-question", question).outcome.queries
    signals = [generation.signal for generation in whole.generations]
    first = next((n for n, s in enumerate(signals) if s is not None and s > threshold), len(signals) - 1)
    assert len(stopped.outcome.turns) == first + 1
    assert [t.action for t in stopped.outcome.searches] == [t.action for t in whole.outcome.searches[:first]]


@settings(max_examples=25)
@given(question=st.sampled_from(lab.QUESTIONS), searches=st.sampled_from(["raw-question", "feedback"]))
def test_the_oracle_stops_the_same_searches_where_gold_is_covered(index, question, searches):
    free = played(index, searches, question).outcome
    oracle = played(index, "oracle-stop", question, searches=searches).outcome
    wanted = free.searches_to_cover or len(free.searches)
    assert len(oracle.searches) == wanted and oracle.coverage[-1] == free.coverage[-1]
    if free.searches_to_cover and oracle.stops_itself:
        assert oracle.enough.pages == question.gold_page_ids


def test_the_oracle_may_be_content_with_one_of_several_gold_pages(index):
    question = replace(lab.QUESTIONS[0], text="impeller", gold_page_ids=("pumps#1", "lamps#4"))
    content = played(index, "oracle-stop", question, threshold=0.01).outcome
    assert len(content.searches) == 1 and content.enough.pages == ("pumps#1",)
    assert not played(index, "oracle-stop", question).outcome.stops_itself


@pytest.mark.parametrize("show_page_ids", [True, False])
@pytest.mark.parametrize("name", BASELINES)
def test_where_no_answer_is_asked_for_baselines_keep_every_page(index, name, show_page_ids):
    config = CONFIG.model_copy(update={"show_page_ids": show_page_ids})
    outcome = play_by_name(name, index, lab.QUESTIONS[0], config)
    assert outcome.enough is not None and not outcome.malformed
    assert set(outcome.enough.pages) == outcome.shown_page_ids and not outcome.enough.unknown


def test_where_it_cannot_say_that_it_has_enough_it_answers(index):
    config = EpisodeConfig(think=False, max_turns=4)
    outcome = played(index, "stop-coverage", lab.QUESTIONS[0], config, threshold=0.0).outcome
    assert outcome.stop_reason is StopReason.ANSWERED
    assert outcome.answer.citations == (outcome.searches[0].hits[0].page_id,)


class Drafts:
    """A server whose model drafts these answers, each with the two likeliest probabilities of its one token."""

    def __init__(self, *drafts):
        self.drafts = list(drafts)
        self.prompts = []

    def __call__(self, request):
        self.prompts.append(request["messages"][-1]["content"])
        text, first, second = self.drafts.pop(0)
        likely = [{"token": text, "logprob": math.log(first)}, {"token": "x", "logprob": math.log(second)}]
        content = [{"token": text, "logprob": math.log(first), "top_logprobs": likely}]
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": content}}
        usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        return Raw(body=json.dumps(whole | {"usage": usage}).encode())


def drafted(index, name, drafts, config=CONFIG, **options):
    say = Drafts(*drafts)
    with FakeServer(say) as server:
        model = ModelChoice(model="m", base_url=server.url)
        return played(index, name, lab.QUESTIONS[0], config, model=model, **options), say


def test_it_stops_when_the_draft_answer_repeats(index):
    drafts = [("Blue.", 0.9, 0.05), ("It needs care", 0.5, 0.4)]
    trajectory, say = drafted(index, "stop-agreement", drafts)
    assert [generation.signal for generation in trajectory.generations] == [None, 0.0, 0.0, None]
    assert not trajectory.outcome.stops_itself and len(trajectory.outcome.searches) == 3
    assert "pumps#1" in say.prompts[0] and lab.QUESTIONS[0].text in say.prompts[0]
    drafts = [("It needs care", 0.5, 0.4), ("it needs care.", 0.5, 0.4)]
    trajectory, _ = drafted(index, "stop-agreement", drafts)
    assert trajectory.outcome.stops_itself and len(trajectory.outcome.searches) == 2
    # What the model was asked counts, drafts included.
    assert [g.completion_tokens for g in trajectory.generations] == [None, 2, 2]
    [use] = trajectory.uses
    assert (use.model, use.calls, use.prompt_tokens) == ("m", 2, 14)


@pytest.mark.parametrize(("first", "second", "searches"), [(0.6, 0.3, 2), (0.6, 0.4, 3)])
def test_it_stops_when_the_draft_repeats_with_a_margin(index, first, second, searches):
    drafts = [("It needs care", 0.99, 0.001), *[("it needs care.", first, second)] * 2]
    trajectory, _ = drafted(index, "stop-margin", drafts)
    assert len(trajectory.outcome.searches) == searches
    assert trajectory.generations[1].signal == 0.0, "the first draft repeats nothing"
    assert trajectory.generations[2].signal == pytest.approx(first - second)
    alone, _ = drafted(index, "stop-margin", drafts, repeats=False)
    assert len(alone.outcome.searches) == 1


def test_its_answer_is_the_draft_with_a_citation(index):
    config = EpisodeConfig(think=False, max_turns=4)
    drafts = [("It needs care", 0.9, 0.05)]
    trajectory, _ = drafted(index, "stop-margin", drafts, config, repeats=False)
    assert trajectory.outcome.answer.text.startswith("It needs care [")


@given(
    st.lists(
        st.tuples(st.floats(0.01, 1), st.floats(0.0, 1)).map(lambda p: (p[0], p[1] * min(p[0], 1 - p[0]))),
        max_size=5,
    )
)
def test_the_margin_is_the_mean_gap_of_the_two_likeliest(pairs):
    tokens = [
        TokenLogProb(
            logprob=math.log(one),
            top_logprobs=[{"token": str(n), "logprob": math.log(p)} for n, p in enumerate((other, one)) if p],
        )
        for one, other in pairs
    ]
    assert margin(tokens) == pytest.approx(np.mean([one - other for one, other in pairs]) if pairs else 0.0)


@pytest.mark.parametrize(
    ("name", "options", "config", "says"),
    [
        ("stop-coverage", {}, EpisodeConfig(answer=False), "set --episode 'enough=true'"),
        ("stop-coverage", {"searches": "oracle-stop"}, CONFIG, "stops by a rule itself"),
        ("stop-coverage", {"searches": "nobody"}, CONFIG, "unknown policy 'nobody'"),
        ("stop-coverage", {"threshold": 2}, CONFIG, "option 'threshold'"),
        ("stop-margin", {"text": "best"}, CONFIG, "unknown option 'text'"),
        ("stop-agreement", {}, CONFIG, "--base-url"),
    ],
)
def test_what_cannot_be_done_is_refused(index, name, options, config, says):
    with pytest.raises(InputError, match=says):
        played(index, name, lab.QUESTIONS[0], config, **options)
