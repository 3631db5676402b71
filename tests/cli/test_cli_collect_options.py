"""Every option of ``drag collect`` that shapes a request or a run reaches it; wrong ones are one line."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict

import collect_lab
import pytest
from collect_lab import command, drag, model
from fake_openai import FakeServer, Said
from PIL import Image

from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs
from drag_rl.policies.server.sampling import SAMPLINGS
from drag_rl.questions import write_questions
from drag_rl.retrieval import build_index
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import Question


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return collect_lab.make_data(tmp_path_factory.mktemp("collect"))


@pytest.mark.parametrize("name", SAMPLINGS)
def test_every_sampling_reaches_the_server(data, tmp_path, capsys, name):
    with FakeServer(model) as server:
        drag(capsys, *command(data, server.url, tmp_path / "t.jsonl", "--limit", 1, "--sampling", name))
    wanted = asdict(SAMPLINGS[name])
    for request in server.requests:
        assert {key: request[key] for key in wanted} == wanted
    assert [t.sampling for t in read_trajectories(tmp_path / "t.jsonl")] == [name]


def test_options_of_a_request(data, tmp_path, capsys):
    def asked(name, *more):
        with FakeServer(model) as server:
            drag(capsys, *command(data, server.url, tmp_path / name, "--limit", 1, *more))
        return server.requests

    plain, other = asked("a.jsonl"), asked("b.jsonl", "--seed", 1, "--max-tokens", 33)
    assert {request["max_tokens"] for request in plain} == {512}
    assert {request["max_tokens"] for request in other} == {33}
    assert not {request["seed"] for request in plain} & {request["seed"] for request in other}
    (first, *_) = asked("c.jsonl", "--server", "openai")
    assert "repetition_penalty" in plain[0] and "repetition_penalty" not in first


def test_a_system_prompt_is_a_name_or_a_file_and_shapes_the_rows(data, tmp_path, capsys):
    (tmp_path / "mine.jinja").write_text("Search, at most {{ max_turns }} times.")
    said = {}
    for prompt in ("brief", str(tmp_path / "mine.jinja")):
        with FakeServer(model) as server:
            words = command(data, server.url, tmp_path / "t.jsonl", "--limit", 1)
            code, _, err = drag(capsys, *words, "--episode", f"system_prompt={prompt}")
            said[prompt] = [request["messages"][0]["content"] for request in server.requests]
        if prompt == "brief":
            assert code == 0, err
    assert "Search, at most" not in said["brief"][0] and "<search>" in said["brief"][0]
    assert code == 2 and "system_prompt" in err  # the file of rows was made with another prompt
    with FakeServer(model) as server:
        words = command(data, server.url, tmp_path / "other.jsonl", "--limit", 1)
        assert drag(capsys, *words, "--episode", f"system_prompt={tmp_path}/mine.jinja")[0] == 0
        assert server.requests[0]["messages"][0]["content"] == "Search, at most 3 times."
        code, _, err = drag(capsys, *words, "--episode", "system_prompt=none.jinja")
        assert code == 2 and "none.jinja" in err and err.count("\n") == 1


def test_time_outs_retries_and_concurrency_are_the_users(data, tmp_path, capsys):
    hanging = Said(text="<answer>It needs care.</answer>", delay_s=1.0)
    with FakeServer(lambda _: hanging) as server:
        words = command(data, server.url, tmp_path / "a.jsonl", "--limit", 3, "--timeout-s", 0.3)
        _, said, _ = drag(capsys, *words, "--concurrency", 1)
        assert "3 errors" in said and len(server.requests) == 3
        done = list(read_trajectories(tmp_path / "a.jsonl"))
        assert {t.error for t in done} == {"no whole reply within 0.3 s"}
        drag(capsys, *words, "--out", tmp_path / "b.jsonl", "--retries", 1)
        assert len(server.requests) == 3 + 6
    slow = Said(text="<answer>It needs care.</answer>", delay_s=0.4)
    with FakeServer(lambda _: slow) as server:
        drag(capsys, *command(data, server.url, tmp_path / "c.jsonl", "--limit", 3, "--concurrency", 1))
        drag(capsys, *command(data, server.url, tmp_path / "d.jsonl", "--limit", 3, "--concurrency", 3))
    alone, together = (server.times[2] - server.times[0], server.times[5] - server.times[3])
    assert together < 0.4 < 0.8 <= alone + 0.01


def test_page_images_are_no_larger_than_asked(tmp_path, capsys, pdf_dir):
    def say(request):
        last = request["messages"][-1]["content"]
        return "<search>engine oil</search>" if isinstance(last, str) else "<answer>Turn the key.</answer>"

    ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions())
    build_index(tmp_path / "pages", tmp_path / "index")
    question = Question(question_id="q", text="What of the engine?", gold_page_ids=("engine#1",))
    write_questions(tmp_path / "questions.parquet", [question], "train")
    episode = ["--pages", tmp_path / "pages", "--episode", "observation=image think=false"]
    with FakeServer(say) as server:
        words = command(tmp_path, server.url, tmp_path / "t.jsonl", *episode, "--max-pixels", 10_000)
        code, _, err = drag(capsys, *words)
    assert code == 0, err
    (trajectory,) = read_trajectories(tmp_path / "t.jsonl")
    shown = [part for part in server.requests[-1]["messages"][-1]["content"] if part["type"] == "image_url"]
    assert len(shown) == len(trajectory.outcome.turns[0].image_page_ids) > 0
    for part in shown:
        picture = base64.b64decode(part["image_url"]["url"].partition("base64,")[2])
        with Image.open(io.BytesIO(picture)) as image:
            assert 5_000 < image.width * image.height <= 10_000


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--model-path", "x"], "either --base-url"),
        (["--adapter", "a=b"], "--adapter and --vllm-options need --model-path"),
        (["--episode", "max_turn=3"], "unknown option 'max_turn'"),
        (["--episode", "observation=image"], "needs --pages"),
        (["--episode", "no.such.yaml"], "cannot be read"),
        (["--sampling", "greedy", "--samples", "4"], "use 1"),
        (["--base-url", "localhost:8000"], "is no address"),
        (["--hint-failures", "none.jsonl"], "none.jsonl"),
    ],
)
def test_bad_options_are_one_line(data, tmp_path, capsys, more, says):
    code, _, err = drag(capsys, *command(data, "http://127.0.0.1:9/v1", tmp_path / "t.jsonl", *more))
    assert code == 2 and says in err and err.count("\n") == 1
