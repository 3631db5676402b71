"""``drag ask``: from a question to a cited answer on the terminal, by any searcher, and every mistake in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trajectory_lab as lab
import vllm_stand_in
from collect_lab import make_data
from fake_openai import Failure, FakeServer, Said
from handoff_lab import cites_first, given_pages

from drag_rl.cli.main import main
from drag_rl.cli.searcher_option import with_searcher
from drag_rl.errors import InputError
from drag_rl.policies.source import PolicyOptions
from drag_rl.questions import write_questions
from drag_rl.serving.served_model import ModelChoice
from drag_rl.trajectories.rows import read_trajectories

QUESTION = lab.QUESTIONS[1].text  # of the seal


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ask")
    lab.make_index(folder)
    write_questions(folder / "questions.parquet", lab.QUESTIONS[:4], "test")
    return folder


def drag(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def ask(capsys, data, *words):
    return drag(capsys, "ask", "--index", data / "index", *words)


def searches(request):
    """A searcher that searches for the word that the question names, then answers with a page of its own making."""
    last = request["messages"][-1]["content"]
    if last.startswith("<information>"):
        return "<answer>It needs care [pumps#2; made-up#1].</answer>"
    return f"<search>{last.split()[-1].strip('?')}</search>"


def at(server, *more):
    return "--searcher", server.url, "--model", "m", "--retries", 0, "--episode", "think=false", *more


def test_a_searcher_and_a_generator_answer_with_citations(data, capsys):
    with FakeServer(searches) as small, FakeServer(cites_first) as large:
        words = at(small, "--generator", large.url, "--generator-model", "big")
        code, out, err = ask(capsys, data, *words, "--timings", QUESTION)
        assert code == 0, err
        [request] = large.requests
    assert request["model"] == "big" and "pumps#2" in given_pages(request)
    lines = out.splitlines()
    assert lines[0].startswith("1  seal") and "pumps#2" in lines[1]
    assert "1 search, the searcher answered." in out and "It needs care [pumps#2]." in out
    assert "pumps, page 2" in out and "first token" in out and out.splitlines()[-1].startswith("generator")


def test_without_a_generator_the_searcher_answers_and_made_up_pages_are_left_out(data, capsys):
    with FakeServer(searches) as small:
        code, out, _ = ask(capsys, data, *at(small), QUESTION)
    assert code == 0 and "It needs care [pumps#2]." in out and "made-up" not in out
    assert "1 citations of pages that were not given are left out." in out


def test_one_that_only_searches_lists_its_pages(data, capsys):
    words = "--searcher", "raw-question", "--episode", "answer=false max_turns=1"
    code, out, _ = ask(capsys, data, *words, QUESTION)
    assert code == 0 and "Pages found, best first:" in out and "[pumps#2]" in out


def test_one_document_is_searched_where_it_is_named(data, capsys):
    words = "--searcher", "raw-question", "--episode", "answer=false max_turns=1", "--json", "--scope"
    code, out, _ = ask(capsys, data, *words, "lamps", QUESTION)
    told = json.loads(out)
    hits = told["iterations"][0]["hits"]
    assert code == 0 and told["scope"] == "lamps" and {hit["document"] for hit in hits} == {"lamps"}
    code, _, err = ask(capsys, data, *words, "lamp", QUESTION)
    assert code == 2 and "document 'lamp' has no page in the index" in err


def test_json_tells_all_of_it(data, capsys):
    with FakeServer(searches) as small, FakeServer(lambda _: "NOT ANSWERABLE") as large:
        words = at(small, "--generator", large.url, "--generator-model", "big", "--json")
        code, out, err = ask(capsys, data, *words, QUESTION)
    told = json.loads(out)
    assert code == 0 and not err
    assert (told["question"], told["answered_by"], told["refused"]) == (QUESTION, "generator", True)
    assert (
        told["iterations"][0]["queries"] == ["seal"]
        and told["iterations"][0]["hits"][0]["document"] == "pumps"
    )
    assert [one["action"] for one in told["iterations"]] == ["search", "answer"]
    assert told["generator"]["model"] == "big" and told["generator"]["pages"] == told["pages"]
    assert told["searcher"]["completion_tokens"] > 0 and told["citations"] == []


def test_what_is_asked_is_the_trajectory_that_is_evaluated(data, tmp_path, capsys):
    """The law: the same searcher, question and settings give the same episode."""
    with FakeServer(searches) as small:
        words = ["evaluate", "--questions", data / "questions.parquet", "--index", data / "index"]
        words += ["--output", tmp_path / "r.json", "--base-url", small.url, "--model", "m"]
        assert drag(capsys, *words, "--episode", "think=false")[0] == 0
        evaluated = {
            t.outcome.question.text: t.outcome for t in read_trajectories(tmp_path / "r.trajectories.jsonl")
        }
        requests = {json.dumps(request["messages"]) for request in small.requests}
        small.requests.clear()
        for question in lab.QUESTIONS[:4]:
            code, out, _ = ask(capsys, data, *at(small), "--json", question.text)
            told, outcome = json.loads(out), evaluated[question.text]
            assert code == 0 and told["stop_reason"] == outcome.stop_reason.value
            assert [one["action"] for one in told["iterations"]] == [
                turn.action.kind for turn in outcome.turns
            ]
            hits = [hit["page_id"] for one in told["iterations"] for hit in one.get("hits", ())]
            assert hits == [hit.page_id for turn in outcome.turns for hit in turn.hits]
        assert {json.dumps(request["messages"]) for request in small.requests} == requests


def test_cited_pages_are_shown_as_files_where_there_is_no_display(tmp_path, pdf_dir, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert drag(capsys, "ingest", "--pdf-dir", pdf_dir, "--out", tmp_path / "pages")[0] == 0
    assert drag(capsys, "index", "--pages", tmp_path / "pages", "--out", tmp_path / "index")[0] == 0
    words = "--searcher", "raw-question", "--pages", tmp_path / "pages", "--open", "Where is the rotor brake?"
    code, out, err = ask(capsys, tmp_path, *words)
    assert code == 0, err
    last = out.splitlines()[-1]
    assert last.startswith("manuals/rotor#2: ") and Path(last.partition(": ")[2]).read_bytes().startswith(
        b"\x89PNG"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--searcher is missing"),
        (("--searcher", "no-such-policy"), "is no folder, no adapter, no address and no policy"),
        (("--searcher", "http://127.0.0.1:9/v1"), "needs --model"),
        (("--searcher", "oracle-depth"), "reads a question's gold pages"),
        (("--searcher", "raw-question", "--open"), "--open needs --pages"),
        (("--searcher", "raw-question", "--generator-model", "m"), "--generator-model needs --generator"),
        (("--searcher", "raw-question", "--generator", "http://127.0.0.1:9/v1"), "needs --generator-model"),
        (
            ("--searcher", "raw-question", "--generator", "http://127.0.0.1:9/v1", "--generator-model", "m"),
            "the server cannot be reached",
        ),
        (
            ("--searcher", "http://127.0.0.1:9/v1", "--model", "m", "--retries", "0"),
            "the server cannot be reached",
        ),
    ],
)
def test_what_is_wrong_is_one_line(data, capsys, words, said, monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.0)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.0)
    code, out, err = ask(capsys, data, *words, "Why?")
    assert code == 2 and said in err and len(err.splitlines()) == 1, (out, err)


def test_empty_questions_and_wrong_indexes_are_one_line(data, tmp_path, capsys):
    for index, question, said in (
        (data / "index", " ", "the question is empty"),
        (tmp_path / "none", "Why?", "none"),
        (data / "pages", "Why?", "pages"),
    ):
        code, _, err = drag(capsys, "ask", "--index", index, "--searcher", "raw-question", question)
        assert code == 2 and said in err and len(err.splitlines()) == 1


def test_a_refused_request_is_one_line(data, capsys):
    with FakeServer(lambda _: Failure(status=400, message="no such field")) as small:
        code, _, err = ask(capsys, data, *at(small), QUESTION)
    assert code == 2 and "a model's server failed: HTTP 400: no such field" in err


def test_text_of_models_and_pages_cannot_write_to_the_terminal(data, capsys):
    with (
        FakeServer(searches) as small,
        FakeServer(lambda _: "Red \x1b[31m[bold]x[/bold]\nand \x07 more") as large,
    ):
        _, out, _ = ask(
            capsys, data, *at(small, "--generator", large.url, "--generator-model", "b"), QUESTION
        )
    assert "\x1b" not in out and "\x07" not in out and "[bold]x[/bold]\nand" in out


@pytest.mark.slow  # imports, and three processes that start
def test_a_model_is_served_for_one_question_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    started = vllm_stand_in.install(monkeypatch, tmp_path)
    make_data(tmp_path)
    for folder in ("base", "mine", "temporary"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    adapter = {"r": 8, "base_model_name_or_path": str(tmp_path / "base")}
    (tmp_path / "mine" / "adapter_config.json").write_text(json.dumps(adapter))
    for searcher in (tmp_path / "base", tmp_path / "mine"):
        words = "--searcher", searcher, "--episode", "think=false", "--json", "What of the seal?"
        code, out, err = ask(capsys, tmp_path, *words)
        assert code == 0, err
        told = json.loads(out)
        assert told["searcher"]["model"] == searcher.name and told["answer"] == "It needs care."
    assert started.read_text().count("\n") == 2 and not vllm_stand_in.running(started)
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_ctrl_c_ends_it_with_one_line(data):
    with FakeServer(lambda _: Said(text="<answer>x</answer>", delay_s=30)) as small:
        words = [str(word) for word in ("ask", "--index", data / "index", *at(small), QUESTION)]
        process = subprocess.Popen(
            [sys.executable, "-m", "drag_rl.cli.main", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        deadline = time.monotonic() + 60
        while not small.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and err.strip() == "drag: interrupted"


class TestSearcher:
    """What ``--searcher`` may be."""

    def of(self, searcher, **model):
        return with_searcher(searcher, PolicyOptions(model=ModelChoice(**model)))

    def test_a_policy(self):
        assert self.of("keywords").name == "keywords"

    def test_an_address(self):
        options = self.of("http://localhost:8000/v1", model="m")
        assert (options.name, options.model.base_url) == ("model", "http://localhost:8000/v1")

    def test_a_folder_or_hub_id(self, tmp_path):
        assert self.of(str(tmp_path)).model.model_path == str(tmp_path)
        assert self.of("Qwen/Qwen3-VL-8B-Instruct").model.model_path == "Qwen/Qwen3-VL-8B-Instruct"

    def test_an_adapter(self, tmp_path):
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "adapter_config.json").write_text('{"r": 8, "base_model_name_or_path": "base/model"}')
        for searcher, name in ((str(folder), "mine"), (f"other={folder}", "other")):
            model = self.of(searcher).model
            assert (model.model_path, model.name) == ("base/model", name)
            assert self.of(searcher, model_path="mine/base").model.model_path == "mine/base"
        (folder / "adapter_config.json").write_text("{}")
        with pytest.raises(InputError, match="is no folder of a LoRA adapter"):
            self.of(str(folder))
