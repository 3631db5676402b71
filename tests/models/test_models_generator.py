"""The embedded model as a generator behind a real vLLM: asked by hand, measured, and as an agent by OpenAI's client."""

from __future__ import annotations

import json
from pathlib import Path

import openai
import pytest
import service_lab
import trajectory_lab as lab

from drag_rl.cli.main import main
from drag_rl.evaluation.results import read_results
from drag_rl.handoff.options import GeneratorOptions, SessionOptions
from drag_rl.handoff.session import open_session
from drag_rl.policies.source import PolicyOptions
from drag_rl.questions import write_questions
from drag_rl.service.agent.app import agent_app
from drag_rl.serving.vllm_process import vllm_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
MAX_TOKENS = 24


@pytest.fixture(scope="module")
def url(smol_dir, tmp_path_factory):
    log = tmp_path_factory.mktemp("vllm") / "log"
    with (
        vllm_server(str(smol_dir), name="smol", adapters={}, extra=["--max-model-len", "2048"], log=log) as (
            url,
            key,
        ),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("GENERATOR_API_KEY", key)
        yield url


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    lab.make_index(folder)
    write_questions(folder / "questions.parquet", lab.QUESTIONS[:4], "test")
    return folder


def drag(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr()
    assert not stop.value.code, said.err
    return said.out


def generator(url):
    return "--generator", url, "--generator-model", "smol", "--generator-max-tokens", MAX_TOKENS


def test_one_question_is_asked(url, data, capsys):
    words = "ask", "--index", data / "index", "--searcher", "raw-question", "--json", lab.QUESTIONS[0].text
    told = json.loads(drag(capsys, *words, *generator(url)))
    assert told["answered_by"] == "generator" and told["answer"]
    assert 0 < told["generator"]["completion_tokens"] <= MAX_TOKENS < told["generator"]["prompt_tokens"]
    assert {place["page_id"] for place in told["citations"]} <= set(told["generator"]["pages"])


def test_pages_beyond_its_context_are_left_out(url, data, capsys):
    words = "ask", "--index", data / "index", "--searcher", "raw-question", "--json", lab.QUESTIONS[0].text
    more = "--episode", "top_k=20", "--generator-page-tokens", 100_000
    told = json.loads(drag(capsys, *words, *generator(url), *more))
    assert 0 < len(told["generator"]["pages"]) <= len(told["pages"])


def test_it_is_measured(url, data, tmp_path: Path, capsys):
    words = ["evaluate", "--questions", data / "questions.parquet", "--index", data / "index"]
    words += ["--policy", "raw-question", "--output", tmp_path / "r.json", "--generator-pages", "gold"]
    assert "Generator Success" in drag(capsys, *words, *generator(url))
    aggregate = read_results(tmp_path / "r.json").aggregate
    assert aggregate["generator.gold_given"].value == 1.0 and aggregate["generator.error_rate"].value == 0.0
    assert 0 < aggregate["generator.completion_tokens"].value <= MAX_TOKENS


def test_an_agent_streams_its_answer(url, data):
    options = SessionOptions(
        index=data / "index",
        policy=PolicyOptions(name="raw-question"),
        generator=GeneratorOptions(url=url, model="smol", max_tokens=MAX_TOKENS),
        episode=lab.PLAIN,
    )
    with open_session(options, data / "log") as session, service_lab.running(agent_app(session)) as agent:
        client = openai.OpenAI(base_url=f"{agent}/v1", api_key="none", timeout=120)
        messages = [{"role": "user", "content": lab.QUESTIONS[0].text}]
        chunks = list(client.chat.completions.create(model="drag", messages=messages, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text and chunks[-1].drag["answer"] == text
