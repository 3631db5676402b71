"""``drag agent`` over real HTTP, asked by OpenAI's own client: whole and streamed, alone and by many."""

from __future__ import annotations

import asyncio
import threading

import openai
import service_lab
import trajectory_lab as lab
from agent_lab import QUESTION, client, health, serving, session_options, streamed
from handoff_lab import cites_first

from drag_rl.handoff.options import SessionOptions
from drag_rl.handoff.session import asked_question, open_session
from drag_rl.handoff.summary import summary, told_by
from drag_rl.policies.source import PolicyOptions
from drag_rl.service.agent.app import agent_app


def test_a_question_is_answered_whole(agent_data):
    with serving(agent_data) as (url, *_):
        assert [model.id for model in client(url).models.list()] == ["drag"]
        said = client(url).chat.completions.create(
            model="drag", messages=[{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
        )
        assert health(url)["generator"] == "large" and health(url)["pages"] == 20
    [choice] = said.choices
    assert choice.message.content == "It needs care [pumps#2]." and choice.finish_reason == "stop"
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens > 0
    assert said.drag["citations"] == [{"page_id": "pumps#2", "document": "pumps", "page": 2}]
    assert said.drag["iterations"][0]["queries"] == ["seal"]


def test_a_stream_tells_queries_and_hits_as_they_happen_then_the_answer(agent_data):
    with serving(agent_data) as (url, *_):
        chunks = list(streamed(url, stream_options={"include_usage": True}))
    events = [chunk.drag["event"] for chunk in chunks if hasattr(chunk, "drag")]
    assert events == ["query", "hits", "stop", "answer", "end"]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    reasoning = [
        getattr(chunk.choices[0].delta, "reasoning_content", "") for chunk in chunks if chunk.choices
    ]
    assert text == "It needs care [pumps#2]." and "Search: seal\n" in reasoning
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage.total_tokens > 0 and not chunks[-1].choices
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-2].drag["answer"] == text


def test_steps_are_sent_before_the_answer_is_there(agent_data):
    answered = threading.Event()

    def large(request):
        assert answered.wait(10)
        return cites_first(request)

    with serving(agent_data, large=large) as (url, *_):
        seen = []
        for chunk in streamed(url):
            seen += [chunk.drag["event"]] if hasattr(chunk, "drag") else []
            if seen[-1:] == ["stop"]:
                answered.set()
    assert seen[-1] == "end"


def test_it_does_what_is_asked_by_hand(agent_data):
    """The law: the agent's episode is that of ``drag ask``, which is that of ``drag evaluate``."""
    with serving(agent_data) as (url, small, large):
        last = list(streamed(url))[-1].drag
        with open_session(session_options(agent_data, small, large), agent_data / "log") as session:

            async def by_hand():
                told = await told_by(session.ask(asked_question(QUESTION)))
                await session.close()
                return summary(told, session.searcher, session.generator)

            expected = asyncio.run(by_hand())
    assert without_times(last) == without_times({"event": "end", **expected})
    half = len(small.requests) // 2
    assert small.requests[:half] == small.requests[half:]


def without_times(value):
    if isinstance(value, dict):
        times = [name for name in value if name.endswith("_s") or name == "seconds"]
        return {name: without_times(each) for name, each in value.items() if name not in times}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def test_many_ask_at_once(agent_data):
    """The generator answers when it has been asked by all."""

    async def ask_all(url):
        async with openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=20
        ) as asking:

            async def one(question):
                stream = await asking.chat.completions.create(
                    model="drag", messages=[{"role": "user", "content": question.text}], stream=True
                )
                return [chunk async for chunk in stream][-1].drag

            return await asyncio.gather(*(one(question) for question in lab.QUESTIONS[:16]))

    together = threading.Barrier(16, timeout=15)

    def large(request):
        together.wait()
        return cites_first(request)

    with serving(agent_data, large=large) as (url, *_):
        told = asyncio.run(ask_all(url))
    assert [one["question"] for one in told] == [question.text for question in lab.QUESTIONS[:16]]
    words = [question.text.split()[-1].strip("?") for question in lab.QUESTIONS[:16]]
    assert [one["iterations"][0]["queries"] for one in told] == [[word] for word in words]


def test_one_that_only_searches_lists_its_pages(agent_data):
    options = SessionOptions(
        index=agent_data / "index",
        policy=PolicyOptions(name="raw-question"),
        episode=lab.PLAIN.model_copy(update={"answer": False, "max_turns": 1}),
    )
    with open_session(options, agent_data / "log") as session, service_lab.running(agent_app(session)) as url:
        said = client(url).chat.completions.create(
            model="drag", messages=[{"role": "user", "content": QUESTION}]
        )
    assert said.choices[0].message.content.splitlines()[:2] == ["Pages found, best first:", "[pumps#2]"]
    assert said.drag["answered_by"] == "nobody"


def test_search_stays_in_a_document_that_a_request_names(agent_data):
    with serving(agent_data) as (url, small, _):
        for scope in ({}, {"drag": {"scope": "lamps"}}, {"drag": None}):
            said = client(url).chat.completions.create(
                model="drag", messages=[{"role": "user", "content": QUESTION}], extra_body=scope
            )
            documents = {hit["document"] for one in said.drag["iterations"] for hit in one.get("hits", ())}
            if scope.get("drag"):
                assert said.drag["scope"] == "lamps" and documents <= {"lamps"}
                assert "one document" in small.requests[-1]["messages"][0]["content"]
            else:
                assert said.drag["scope"] is None and "pumps" in documents
