"""``drag agent`` over real HTTP, asked by OpenAI's own client: whole and streamed, by many, by some who leave."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import openai
import psutil
import pytest
import service_lab
import trajectory_lab as lab
from fake_openai import Failure, FakeServer, Said
from handoff_lab import cites_first, options_for

from drag_rl.handoff.options import SessionOptions
from drag_rl.handoff.session import asked_question, open_session
from drag_rl.handoff.summary import summary, told_by
from drag_rl.policies.source import PolicyOptions
from drag_rl.service.agent.app import agent_app
from drag_rl.service.agent.endpoint import AgentLimits
from drag_rl.serving.served_model import ModelChoice

QUESTION = lab.QUESTIONS[1].text  # of the seal


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agent")
    lab.make_index(folder)
    return folder


def searches(request):
    last = request["messages"][-1]["content"]
    if last.startswith("<information>"):
        return "<answer>It needs care [pumps#2; made-up#1].</answer>"
    return f"<search>{last.split()[-1].strip('?')}</search>"


def slowly(say, delay_s):
    return lambda request: Said(text=say(request), delay_s=delay_s)


def session_options(data, small, large=None):
    return SessionOptions(
        index=data / "index",
        policy=PolicyOptions(
            model=ModelChoice(base_url=small.url, model="small"), sampling="greedy", retries=0, timeout_s=20
        ),
        generator=options_for(large) if large else None,
        episode=lab.PLAIN,
    )


@contextmanager
def serving(data, small=searches, large=cites_first, token=None, **limits):
    """An agent over fake servers of a searcher and a generator: its application and its address."""
    with FakeServer(small) as searcher, FakeServer(large) as generator:
        options = session_options(data, searcher, generator)
        with open_session(options, data / "log") as session:
            app = agent_app(session, AgentLimits(**limits), token=token)
            with service_lab.running(app) as url:
                yield url, searcher, generator


def client(url, **options):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=20, **options)


def health(url):
    with urlopen(f"{url}/health", timeout=5) as answer:
        return json.load(answer)


def idle(url):
    """Wait until nothing is being answered."""
    deadline = time.monotonic() + 5
    while health(url)["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.01)
    return health(url)["in_flight"] == 0


def test_a_question_is_answered_whole(data):
    with serving(data) as (url, *_):
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


def streamed(url, question=QUESTION, **options):
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": question}]
    return client(url).chat.completions.create(model="drag", messages=messages, stream=True, **options)


def test_a_stream_tells_queries_and_hits_as_they_happen_then_the_answer(data):
    with serving(data) as (url, *_):
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


def test_steps_are_sent_before_the_answer_is_there(data):
    answered = threading.Event()

    def large(request):
        assert answered.wait(10)
        return cites_first(request)

    with serving(data, large=large) as (url, *_):
        seen = []
        for chunk in streamed(url):
            seen += [chunk.drag["event"]] if hasattr(chunk, "drag") else []
            if seen[-1:] == ["stop"]:
                answered.set()
    assert seen[-1] == "end"


def test_it_does_what_is_asked_by_hand(data):
    """The law: the agent's episode is that of ``drag ask``, which is that of ``drag evaluate``."""
    with serving(data) as (url, small, large):
        last = list(streamed(url))[-1].drag
        with open_session(session_options(data, small, large), data / "log") as session:

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


def test_many_ask_at_once(data):
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

    with serving(data, small=slowly(searches, 0.1), large=slowly(cites_first, 0.1)) as (url, *_):
        started = time.monotonic()
        told = asyncio.run(ask_all(url))
        assert time.monotonic() - started < 16 * 0.3, "they are answered at the same time"
    assert [one["question"] for one in told] == [question.text for question in lab.QUESTIONS[:16]]
    words = [question.text.split()[-1].strip("?") for question in lab.QUESTIONS[:16]]
    assert [one["iterations"][0]["queries"] for one in told] == [[word] for word in words]


@pytest.mark.parametrize("stream", [True, False])
def test_those_who_leave_leave_nothing_behind(data, stream):
    with serving(data, large=slowly(cites_first, 0.3)) as (url, *_):
        body = {"messages": [{"role": "user", "content": QUESTION}], "stream": stream}

        async def leave():
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="n", max_retries=0) as asking:
                for _ in range(3):
                    tasks = [asyncio.create_task(read(asking, body["messages"])) for _ in range(8)]
                    await asyncio.sleep(0.15)
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)

        async def read(asking, messages):
            answer = await asking.chat.completions.create(model="drag", messages=messages, stream=stream)
            return [chunk async for chunk in answer] if stream else answer

        asyncio.run(leave())
        assert idle(url)
        open_before = psutil.Process().num_fds()
        for _ in range(2):
            asyncio.run(leave())
            assert idle(url)
        # Connections to the generator are kept, some more or less; forty-eight have left.
        deadline = time.monotonic() + 5
        while psutil.Process().num_fds() > open_before + 16 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert psutil.Process().num_fds() <= open_before + 16
        assert client(url).chat.completions.create(model="drag", messages=body["messages"]).choices


def post(url, body, **headers):
    request = Request(
        f"{url}/v1/chat/completions", data=body, headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, json.load(error)["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"nonsense", 422, "JSON"),
        (b"{}", 422, "messages: Field required"),
        (b'{"messages": []}', 422, "messages: "),
        (b'{"messages": [{"role": "system", "content": "x"}]}', 422, "holds no text"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', 422, "holds no text"),
        (b'{"messages": [{"role": "user", "content": " "}]}', 422, "holds no text"),
        (b'{"messages": [{"role": "user", "content": "x"}], "n": 2}', 422, "n: "),
        (b'{"messages": [{"role": "user", "content": "x"}], "tools": [{}]}', 422, "tools: "),
        (b'{"messages": [{"role": "user", "content": "' + b"x" * 30_000 + b'"}]}', 422, "30000 characters"),
        (b'{"messages": [{"role": "user", "content": "x"}], "drag": {"scope": 1}}', 422, "drag.scope: "),
        (b'{"messages": [{"role": "user", "content": "x"}], "drag": {"scope": "x"}}', 422, "document 'x'"),
        (b" " * 3_000_000, 413, "longer than"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(data, body, status, said):
    with serving(data) as (url, *_):
        assert (found := post(url, body))[0] == status and said in found[1] and "\n" not in found[1]


def test_a_server_that_fails_or_is_slow_is_told_as_what_it_is(data):
    body = json.dumps({"messages": [{"role": "user", "content": QUESTION}]}).encode()
    with serving(data, large=lambda _: Failure(status=400, message="no")) as (url, *_):
        assert post(url, body) == (502, "a model's server failed: HTTP 400: no")
    with serving(data, large=slowly(cites_first, 5), timeout_s=0.4) as (url, *_):
        assert post(url, body) == (504, "no answer within 0.4 s")
        with pytest.raises(openai.APIError, match="no answer within"):
            list(streamed(url))
        assert idle(url)
    with serving(data) as (url, small, _):
        small.stop()
        status, said = post(url, body)
        assert status == 502 and "cannot be reached" in said


def test_too_many_questions_are_told_to_come_again(data):
    with serving(data, large=slowly(cites_first, 1), concurrency=1) as (url, *_):
        first = iter(streamed(url))
        next(first)
        with pytest.raises(openai.InternalServerError, match="come again"):
            client(url).chat.completions.create(model="drag", messages=[{"role": "user", "content": "?"}])
        assert list(first)[-1].drag["event"] == "end"


def test_strangers_are_refused(data):
    with serving(data, token="secret") as (url, *_):
        with pytest.raises(openai.AuthenticationError, match="token"):
            client(url).models.list()
        body = json.dumps({"messages": [{"role": "user", "content": QUESTION}]}).encode()
        assert post(url, body)[0] == 401
        assert post(url, body, Authorization="Bearer secret")[0] == 200
        assert health(url)["status"] == "ok"


def test_one_that_only_searches_lists_its_pages(data):
    options = SessionOptions(
        index=data / "index",
        policy=PolicyOptions(name="raw-question"),
        episode=lab.PLAIN.model_copy(update={"answer": False, "max_turns": 1}),
    )
    with open_session(options, data / "log") as session, service_lab.running(agent_app(session)) as url:
        said = client(url).chat.completions.create(
            model="drag", messages=[{"role": "user", "content": QUESTION}]
        )
    assert said.choices[0].message.content.splitlines()[:2] == ["Pages found, best first:", "[pumps#2]"]
    assert said.drag["answered_by"] == "nobody"


def test_search_stays_in_a_document_that_a_request_names(data):
    with serving(data) as (url, small, _):
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


def test_what_a_page_of_another_site_could_send_is_refused(data):
    body = json.dumps({"messages": [{"role": "user", "content": QUESTION}]}).encode()
    with serving(data) as (url, *_):
        for plain in ("text/plain", "application/x-www-form-urlencoded", ""):
            status, said = post(url, body, **{"Content-Type": plain})
            assert status == 415 and "application/json" in said
        assert post(url, body, **{"Content-Type": "application/json; charset=utf-8"})[0] == 200


def test_a_body_that_does_not_come_is_waited_for_only_so_long(data):
    with serving(data, body_timeout_s=0.3) as (url, *_):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as slow:
            slow.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            assert b" 408 " in slow.recv(4096)


@pytest.mark.slow
def test_a_thousand_questions_and_those_who_leave_take_nothing_that_stays(data):
    """Two hundred at once; every fifth leaves; a body of 100 MB."""

    async def crowd(url, questions, at_once):
        room = asyncio.Semaphore(at_once)
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="n", max_retries=0, timeout=60) as asking:

            async def one(number):
                async with room:
                    messages = [{"role": "user", "content": lab.QUESTIONS[number % 20].text}]
                    try:
                        stream = await asking.chat.completions.create(
                            model="drag", messages=messages, stream=True
                        )
                        if number % 5 == 0:
                            await anext(aiter(stream))
                            await stream.close()
                            return "left"
                        return [chunk async for chunk in stream][-1].drag["answered_by"]
                    except openai.InternalServerError as error:
                        return error.status_code

            return Counter(await asyncio.gather(*map(one, range(questions))))

    with serving(data, concurrency=64) as (url, *_):
        here = psutil.Process()
        asyncio.run(
            crowd(url, 200, 200)
        )  # what is loaded at first sight, and as many connections as are ever kept
        assert idle(url)
        before, open_before = here.memory_info().rss, here.num_fds()
        assert asyncio.run(crowd(url, 1000, 32)) == {"generator": 800, "left": 200}
        at_once = asyncio.run(crowd(url, 200, 200))
        assert at_once["generator"] >= 48 and sum(at_once.values()) == 200
        assert set(at_once) <= {"generator", "left", 503}
        try:
            status = post(url, b" " * 100_000_000)[0]
        except URLError:  # it is refused while it is still being sent
            status = 413
        assert status == 413 and idle(url)
        gc.collect()
        assert here.memory_info().rss - before < 150 << 20, "100 MB of it are this test's own body"
        assert here.num_fds() <= open_before + 40, "two hundred and forty have left"
