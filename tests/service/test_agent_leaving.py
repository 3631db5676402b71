"""Those who leave ``drag agent`` before their answer leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from contextlib import suppress
from urllib.error import URLError

import openai
import psutil
import pytest
import trajectory_lab as lab
from agent_lab import QUESTION, client, idle, post, serving, slowly
from handoff_lab import cites_first


@pytest.mark.parametrize("stream", [True, False])
def test_those_who_leave_leave_nothing_behind(agent_data, stream):
    with serving(agent_data, large=slowly(cites_first, 0.3)) as (url, *_):
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


async def leave(stream):
    """Read a stream up to its first chunk. Who reads it is cancelled: generators that are left open end at any time."""
    begun = asyncio.Event()

    async def read():
        try:
            async for _ in stream:
                begun.set()
        finally:
            begun.set()

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading


@pytest.mark.slow
def test_a_thousand_questions_and_those_who_leave_take_nothing_that_stays(agent_data):
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
                            await leave(stream)
                            return "left"
                        return [chunk async for chunk in stream][-1].drag["answered_by"]
                    except openai.InternalServerError as error:
                        return error.status_code

            return Counter(await asyncio.gather(*map(one, range(questions))))

    with serving(agent_data, concurrency=64) as (url, *_):
        here = psutil.Process()
        # What is loaded at first sight, and as many connections as are ever kept.
        asyncio.run(crowd(url, 200, 200))
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
