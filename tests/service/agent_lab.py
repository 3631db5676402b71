"""``drag agent`` over fake servers of a searcher and a generator, and how it is asked."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import openai
import service_lab
import trajectory_lab as lab
from fake_openai import FakeServer, Said
from handoff_lab import cites_first, options_for

from drag_rl.handoff.options import SessionOptions
from drag_rl.handoff.session import open_session
from drag_rl.policies.source import PolicyOptions
from drag_rl.service.agent.app import agent_app
from drag_rl.service.agent.endpoint import AgentLimits
from drag_rl.serving.served_model import ModelChoice

QUESTION = lab.QUESTIONS[1].text
"""Of the seal."""


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


def streamed(url, question=QUESTION, **options):
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": question}]
    return client(url).chat.completions.create(model="drag", messages=messages, stream=True, **options)


def post(url, body, **headers):
    request = Request(
        f"{url}/v1/chat/completions", data=body, headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, json.load(error)["error"]["message"]


def health(url):
    with urlopen(f"{url}/health", timeout=5) as answer:
        return json.load(answer)


def idle(url):
    """Wait until nothing is being answered."""
    deadline = time.monotonic() + 5
    while health(url)["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.01)
    return health(url)["in_flight"] == 0
