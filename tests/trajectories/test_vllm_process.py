"""vLLM's command line; and real servers: a tiny model, with and without an adapter, is collected from."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from drag_rl.cli.main import main
from drag_rl.errors import InputError
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.trajectories.served_model import ModelChoice
from drag_rl.trajectories.vllm_process import parse_adapter, serve_command, serve_environment
from drag_rl.types import StopReason

ROOT = Path(__file__).resolve().parents[2]
EPISODE = "max_turns=3 think=false citations=false snippet_chars=80"


def adapter_folder(path: Path, rank: int) -> Path:
    path.mkdir()
    (path / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return path


def test_the_command_line(tmp_path):
    plain = serve_command("org/model", name="m", port=8123)
    text = " ".join(plain)
    assert "--served-model-name m --host 127.0.0.1 --port 8123" in text
    assert "--enable-auto-tool-choice --tool-call-parser hermes" in text
    assert "--tensor-parallel-size 1" in text and "--generation-config vllm" in text
    assert "trust-remote-code" not in text and "lora" not in text
    adapters = {"a": adapter_folder(tmp_path / "a", 4), "b": adapter_folder(tmp_path / "b", 40)}
    text = " ".join(
        serve_command(
            "x", name="m", port=1, adapters=adapters, tensor_parallel=8, extra=["--trust-remote-code"]
        )
    )
    lora = f"--enable-lora --max-lora-rank 64 --lora-modules a={adapters['a']} b={adapters['b']}"
    assert lora in text and "--tensor-parallel-size 8" in text and text.endswith("--trust-remote-code")
    with pytest.raises(InputError, match="rank 600 is more"):
        serve_command("x", name="m", port=1, adapters={"c": adapter_folder(tmp_path / "c", 600)})


def test_the_users_environment_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "0")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert serve_environment(str(tmp_path))["VLLM_NO_USAGE_STATS"] == "0"
    assert serve_environment(str(tmp_path))["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in serve_environment("org/model")


def test_names_and_choices(tmp_path):
    adapter = adapter_folder(tmp_path / "adapter", 8)
    assert parse_adapter(f"mine={adapter}") == ("mine", adapter)
    assert ModelChoice(model_path=str(tmp_path)).name == tmp_path.name
    assert ModelChoice(model_path="org/model", model="m").name == "m"
    assert ModelChoice(model_path="org/model", model="m", adapter=f"mine={adapter}").name == "mine"
    prints = ModelChoice(model_path=str(tmp_path), adapter=f"mine={adapter}").fingerprints()
    (adapter / "adapter_config.json").write_text(json.dumps({"r": 16}))
    after = ModelChoice(model_path=str(tmp_path), adapter=f"mine={adapter}").fingerprints()
    assert prints["adapter"] != after["adapter"] and prints["model"] != after["model"]
    for choice, says in [
        (ModelChoice(), "either --base-url"),
        (ModelChoice(base_url="http://x"), "needs --model"),
        (ModelChoice(model_path="no/such/folder"), "neither a folder nor a hub id"),
        (ModelChoice(model_path="org/model", adapter="mine"), "NAME=PATH"),
        (ModelChoice(model_path="org/model", adapter=f"mine={tmp_path}"), "no folder of a LoRA adapter"),
    ]:
        with pytest.raises(InputError, match=says):
            choice.check()


def test_the_script_runs_the_same_command(tmp_path):
    """scripts/serve_vllm.sh becomes that command; vLLM is a stand-in here, which prints what it is given."""
    server = tmp_path / "vllm" / "entrypoints" / "openai" / "api_server.py"
    server.parent.mkdir(parents=True)
    for folder in server.parents[:3]:
        (folder / "__init__.py").touch()
    server.write_text("import sys; print(sys.argv[1:])")
    adapter = adapter_folder(tmp_path / "adapter", 8)
    words = ["org/m", "--port", "8123", "--adapter", f"a={adapter}", "--tensor-parallel", "2"]
    done = subprocess.run(
        ["bash", ROOT / "scripts" / "serve_vllm.sh", *words, "--", "--max-model-len", "64"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    expected = serve_command(
        "org/m",
        name="org/m",
        port=8123,
        adapters={"a": adapter},
        tensor_parallel=2,
        extra=["--max-model-len", "64"],
    )
    assert done.stdout.strip() == str(expected[3:])


def drag(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def command(data, out, *more):
    words = [
        "collect",
        "--questions",
        data / "questions.train.parquet",
        "--index",
        data / "index",
        "--out",
        out,
    ]
    words += ["--sampling", "high_temp", "--max-tokens", 48, "--vllm-options", "--max-model-len 4096"]
    return [*words, "--episode", EPISODE, *more]


def serving(model):
    """The processes whose command line names the model's folder."""
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if str(model) in (process.info["cmdline"] or ())]


@pytest.mark.slow
def test_collect_from_a_real_vllm(world, tmp_path, capsys):
    data, model = world
    out = tmp_path / "t.jsonl"
    words = command(data, out, "--model-path", model, "--samples", 3)
    code, said, err = drag(capsys, *words)
    assert code == 0, err
    assert "60 episodes: " in said and "0 errors" in said and not serving(model)
    trajectories = list(read_trajectories(out))
    assert len(trajectories) == 60
    searched = [t for t in trajectories if t.outcome.searches]
    answered = [t for t in trajectories if t.outcome.stop_reason == StopReason.ANSWERED]
    assert len(searched) > 40 and len(answered) > 9
    for trajectory in trajectories:
        for turn, generation in zip(trajectory.outcome.turns, trajectory.generations, strict=True):
            assert generation.completion_tokens <= 48 and generation.prompt_tokens > 0
            assert "<|" not in turn.text  # the token that ends a message is no text
    # The stop string is text, except where the model itself ended without it.
    searches = [turn.text for row in trajectories for turn in row.outcome.searches]
    assert sum(text.endswith("</search>") for text in searches) > 0.8 * len(searches)
    code, said, _ = drag(capsys, *words)
    assert code == 0 and "nothing left" in said
    # The same seeds draw the same words.
    again = tmp_path / "again.jsonl"
    drag(capsys, *command(data, again, "--model-path", model, "--limit", 5, "--concurrency", 1))
    first = {t.trajectory_id: t.outcome.turns[0].text for t in trajectories}
    same = [t.outcome.turns[0].text == first[t.trajectory_id] for t in read_trajectories(again)]
    assert sum(same) >= 4  # another batch may round otherwise


@pytest.mark.slow
def test_an_adapter_and_page_images(world, tmp_path, capsys):
    """A LoRA adapter whose weights are large changes what the model says; page images reach the model as tokens."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    data, model = world
    torch.manual_seed(0)
    base = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32)
    targets = r".*language_model.*\.(q_proj|v_proj)"
    lora = get_peft_model(base, LoraConfig(r=4, target_modules=targets, init_lora_weights=False))
    for name, weight in lora.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=1.0)
    lora.save_pretrained(tmp_path / "adapter")
    out = tmp_path / "adapter.jsonl"
    words = command(
        data, out, "--model-path", model, "--adapter", f"mine={tmp_path / 'adapter'}", "--limit", 5
    )
    code, _, err = drag(capsys, *words)
    assert code == 0, err
    rows = list(read_trajectories(out))
    assert {row.model for row in rows} == {"mine"}
    assert (
        sum(row.outcome.turns[0].action.kind == "malformed" for row in rows) >= 3
    )  # the adapter spoils the model

    out = tmp_path / "images.jsonl"
    words = command(data, out, "--model-path", model, "--limit", 5, "--pages", data / "pages")
    code, _, err = drag(capsys, *words, "--episode", "observation=both", "--max-pixels", 16384)
    assert code == 0, err
    shown = [row for row in read_trajectories(out) if len(row.generations) > 1]
    assert shown and all(row.outcome.turns[0].image_page_ids for row in shown if row.outcome.turns[0].hits)


@pytest.mark.slow
def test_a_vllm_that_does_not_start_names_its_log(world, tmp_path, capsys):
    data, model = world
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "config.json").write_text('{"model_type": "klingon"}')
    out = tmp_path / "t.jsonl"
    code, _, err = drag(capsys, *command(data, out, "--model-path", broken))
    assert code == 2 and err.count("\n") == 1
    assert f"its log is {out}.vllm.log" in err and "klingon" in err and not serving(broken)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_its_vllm_ends_with_the_collector(world, tmp_path, number):
    data, model = world
    words = command(data, tmp_path / "t.jsonl", "--model-path", model, "--samples", 200)
    process = subprocess.Popen(
        [sys.executable, "-m", "drag_rl.cli.main", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not (tmp_path / "t.jsonl").exists() or not (tmp_path / "t.jsonl").stat().st_size:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    process.send_signal(number)
    assert process.wait(60) == (130 if number == signal.SIGINT else -number)
    _, alive = psutil.wait_procs(started, timeout=40)
    assert not alive
