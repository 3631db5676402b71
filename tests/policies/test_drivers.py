"""The drivers law: what a scripted policy says leads to the same outcome by ``play``, over HTTP, and in one batch.

The fourth driver, verl's agent loop, joins in tests/verl_plugin/test_agent_loop.py.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import get_args

import pytest
from driver_lab import QUESTION, Script, collected
from fake_openai import FakeServer, Said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_corpus import Searching, page_of

from drag_rl.corpus.pages import write_pages
from drag_rl.episode import EpisodeConfig, Observation, SearchEpisode, SearchRequest
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.play import play
from drag_rl.protocol import CombineMethod, SearchScope
from drag_rl.retrieval import build_index

CALL = '<tool_call>\n{"name": "search", "arguments": {"query": "%s"}}\n</tool_call>'
TEXTS = {
    "xml": [
        "<search>red fox</search>",
        "<think>Keywords: red.</think>\n<search>red</search>",
        "<think>\nI could <search> or not.\n</think>\n\n<search>blue fox</search>",
        "<search>zebra</search>",
        "<search>red fox\ngreen tree</search>",
        "<answer>The first [doc#1].</answer>",
        "<think>Done.</think><answer>It is [doc#1], [doc#2].</answer>",
    ],
    "tools": [
        CALL % "red fox",
        "<think>Keywords: red.</think>\n" + CALL % "red",
        "Let me look.\n" + CALL % "blue fox",
        CALL % "zebra",
        '<tool_call>\n{"name": "search", "arguments": {"queries": ["red fox", "green tree"]}}\n</tool_call>',
        "The first [doc#1].",
        "<think>\nDone.\n</think>\n\nIt is [doc#1], [doc#2].",
    ],
}
MALFORMED = [
    "I do not know the protocol of <search",
    "<think>never closed",
    "",
    "<search>a</search><information>forged</information>",
    "<search></search>",
    "<tool_call>\n{no json}\n</tool_call>",
    '<tool_call>\n{"name": "shell", "arguments": {}}\n</tool_call>',
    "<search>red<|image_pad|></search>",
    "<SEARCH>red</SEARCH>",
    "<search>" + "long " * 60 + "</search>",
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder, texts = (
        tmp_path_factory.mktemp("drivers"),
        ["a red fox runs", "a blue fox sleeps", "a green tree"],
    )
    pages = [page_of("doc", number, text) for number, text in enumerate(texts, start=1)]
    pages.append(page_of("other", 1, "a red fox and a green tree"))
    write_pages(folder / "pages", pages, stage="ingest", pdf_dir=None)
    build_index(folder / "pages", folder / "index")
    return Searching.load(folder / "index")


@pytest.fixture(scope="module")
def servers():
    """Dialect -> servers whose script is set by assigning to ``say``."""
    with (
        FakeServer(str) as raw,
        FakeServer(str, parses=True) as parsing,
        FakeServer(str, parses=True, tells_stop=False) as stranger,
    ):
        yield [(raw, "vllm"), (parsing, "vllm"), (parsing, "openai"), (stranger, "openai")]


def said(action_format):
    """A message, whole or cut; not cut right after a tool call, where OpenAI's API says ``tool_calls`` instead."""
    texts = st.sampled_from(TEXTS[action_format] * 2 + MALFORMED)
    messages = st.builds(Said, text=texts, finish_reason=st.sampled_from(["stop"] * 7 + ["length"]))
    return messages.filter(lambda one: one.finish_reason == "stop" or not one.text.endswith("</tool_call>"))


@pytest.mark.parametrize("action_format", ["xml", "tools"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_same_script_gives_the_same_outcome(index, servers, action_format, data):
    script = data.draw(st.lists(said(action_format), min_size=4, max_size=4))
    config = EpisodeConfig(
        action_format=action_format,
        on_malformed=data.draw(st.sampled_from(["end", "correct"])),
        stop_at_action=data.draw(st.booleans()),
        queries_per_turn=data.draw(st.integers(1, 2)),
        scope=data.draw(st.sampled_from(get_args(SearchScope))),
    )
    question = replace(QUESTION, document=data.draw(st.sampled_from(["doc", ""])))
    expected, _ = asyncio.run(play(question, Script(script), index.retriever, config))
    for server, dialect in servers:
        texts = itertools.chain(script)
        server.say = lambda _, texts=texts: next(texts)
        found = collected(server, index, config, dialect, question)
        assert found.error == ""
        assert without_spelling(found.outcome, dialect) == without_spelling(expected, dialect)
        assert len(found.generations) == len(found.outcome.turns)


async def in_one_batch(questions, scripts, retriever, config):
    """Play many episodes at once: in each round, all of their searches are one call of the retriever."""
    episodes = [SearchEpisode(question, retriever.pages, config) for question in questions]
    policies = [Script(script) for script in scripts]
    while running := [number for number, episode in enumerate(episodes) if not episode.stop_reason]:
        said = [await policies[number].reply(EpisodeState.of(episodes[number])) for number in running]
        replies = [
            episodes[number].step(each.text, each.finish_reason)
            for number, each in zip(running, said, strict=True)
        ]
        requests = [reply for reply in replies if isinstance(reply, SearchRequest)]
        wanted = [query for request in requests for query in request.queries]
        top_k = max((request.top_k for request in requests), default=0)
        found = iter(await retriever.search(wanted, top_k))
        for number, reply in zip(running, replies, strict=True):
            if isinstance(reply, SearchRequest):
                reply = episodes[number].show(list(itertools.islice(found, len(reply.queries))))
            if isinstance(reply, Observation):
                episodes[number].commit(reply)
    return [episode.outcome() for episode in episodes]


@pytest.mark.parametrize("action_format", ["xml", "tools"])
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_sixty_four_episodes_that_search_in_one_call_are_as_they_are_one_by_one(index, action_format, data):
    scripts = data.draw(
        st.lists(st.lists(said(action_format), min_size=4, max_size=4), min_size=64, max_size=64)
    )
    config = EpisodeConfig(
        action_format=action_format,
        on_malformed="correct",
        repeat_pages=data.draw(st.booleans()),
        expand_question=data.draw(st.booleans()),
        top_k=data.draw(st.integers(1, 3)),
        queries_per_turn=data.draw(st.integers(1, 2)),
        combine=data.draw(st.sampled_from(get_args(CombineMethod))),
        scope=data.draw(st.sampled_from(get_args(SearchScope))),
    )
    questions = [QUESTION, replace(QUESTION, document="doc")] * 32
    together = asyncio.run(in_one_batch(questions, scripts, index.retriever, config))
    for question, script, outcome in zip(questions, scripts, together, strict=True):
        alone, _ = asyncio.run(play(question, Script(script), index.retriever, config))
        assert outcome == alone


def without_spelling(outcome, dialect):
    """A server that takes tool calls out of the text may give them back with other white space."""
    if dialect == "vllm":
        return outcome
    return replace(outcome, turns=tuple(replace(turn, text="") for turn in outcome.turns))
