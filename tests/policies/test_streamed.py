"""Replies that are streamed to be timed say what they say unstreamed, and what is no stream is refused in one line."""

from __future__ import annotations

import asyncio

import pytest
from driver_lab import QUESTION
from fake_openai import FakeServer, Raw
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.policies.server.completion import NoCompletion, NotJson, read_completion
from drag_rl.policies.server.message_encoding import MessageEncoding
from drag_rl.policies.server.model_server import ModelServer, RequestFailed, ServerSettings
from drag_rl.policies.server.policy import ServerPolicy
from drag_rl.policies.server.sampling import SAMPLINGS
from drag_rl.policies.server.streamed import read_stream

TEXTS = [
    "<search>red fox</search>",
    "<think>Keywords: red.</think>\n<search>red</search> and more",
    "<answer>It is 「赤」 [doc#1].\n</answer>",
    'Look.\n<tool_call>\n{"name": "search", "arguments": {"query": "blue fox"}}\n</tool_call>',
    "",
]


def reply_of(server, *, timed, tools=None, dialect="vllm"):
    async def ask():
        settings = ServerSettings(
            base_url=server.url, model="m", api_key="k", retries=0, timed=timed, dialect=dialect
        )
        policy = ServerPolicy(
            server=ModelServer(settings),
            encoding=MessageEncoding(),
            sampling=SAMPLINGS["greedy"],
            retriever=None,
            max_tokens=9,
            seed=0,
            question_id=QUESTION.question_id,
            sample=0,
        )
        try:
            messages = [{"role": "user", "content": "?"}]
            stop = ("</search>", "</answer>")
            return await policy.ask(messages, tools=tools, stop=stop, log_probs=True)
        finally:
            await policy.server.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("parses", [True, False])
@pytest.mark.parametrize("tells_stop", [True, False])
def test_a_streamed_reply_is_the_same(text, parses, tells_stop):
    options = {"parses": parses, "tells_stop": tells_stop, "log_prob": lambda _: -0.5}
    tools = [{"type": "function", "function": {"name": "search"}}]
    with FakeServer(lambda _: text, **options) as server:
        plain, timed = (reply_of(server, timed=flag, tools=tools, dialect="openai") for flag in (False, True))
    assert server.requests[1].pop("stream") and server.requests[1].pop("stream_options")
    assert server.requests[0] == server.requests[1]
    assert plain.timing is None and timed.timing is not None
    for name in ("text", "finish_reason", "prompt_tokens", "completion_tokens", "log_probs"):
        assert getattr(plain, name) == getattr(timed, name), name


def test_the_time_until_the_first_token_is_told_from_that_of_the_others():
    with FakeServer(lambda _: "<answer>" + "x" * 27, token_s=0.02) as server:
        timing = reply_of(server, timed=True).timing
    assert 0.01 < timing.first_token_s < 0.2 < timing.decoding_s and 0 <= timing.waiting_s < 0.5


def test_a_server_that_does_not_stream_is_read_all_the_same():
    whole = b'{"choices": [{"message": {"content": "<answer>x</answer>"}, "finish_reason": "stop"}]}'
    with FakeServer(lambda _: Raw(body=whole)) as server:
        assert reply_of(server, timed=True).text == "<answer>x</answer>"


def test_an_error_in_the_stream_is_told():
    events = b'data: {"error": {"message": "out of memory"}}\n\n'
    with (
        FakeServer(lambda _: Raw(body=events)) as server,
        pytest.raises(RequestFailed, match="out of memory"),
    ):
        reply_of(server, timed=True)


BYTES = st.lists(
    st.sampled_from(
        [
            *(b"data: ", b"\n\n", b"{", b"}", b"[DONE]", b'{"choices": []}', b'{"choices": [{"delta": {}}]}'),
            *(b'{"choices": [{"delta": {"content": 1}}]}', b'{"choices": 7}', b"null", b"\xff", b"[" * 9),
            *(b'{"choices": [null]}', b'{"choices": [{"delta": {"tool_calls": [{}]}}]}', b'{"usage": 3}'),
        ]
    ),
    max_size=8,
).map(b"".join)


@given(BYTES)
def test_any_bytes_are_a_completion_or_refused(body):
    for read in (read_stream, read_completion):
        try:
            assert read(body).choices
        except (NotJson, NoCompletion) as error:
            assert "\n" not in str(error)
