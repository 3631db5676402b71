"""vLLM's command line, and the end of its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import collect_lab
import pytest
import vllm_stand_in

from drag_rl.errors import InputError
from drag_rl.serving.served_model import ModelChoice
from drag_rl.serving.vllm_process import parse_adapter, serve_command, serve_environment

ROOT = Path(__file__).resolve().parents[2]


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
    for name in ("lr=1e-5", "a,b"):  # vLLM would split name=path there
        odd = adapter_folder(tmp_path / name, 4)
        assert {"name": "o", "path": str(odd)} == json.loads(
            serve_command("x", name="m", port=1, adapters={"o": odd})[-1]
        )
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


@pytest.mark.slow  # imports, and three processes that start
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_its_vllm_ends_with_the_collector(tmp_path, monkeypatch, number):
    """vLLM is a stand-in here; that a killed collector takes a real one along shows test_vllm_server.py."""
    started = vllm_stand_in.install(monkeypatch, tmp_path)
    monkeypatch.setenv("SAY_AFTER_S", "0.3")
    data, out = collect_lab.make_data(tmp_path), tmp_path / "t.jsonl"
    (tmp_path / "model").mkdir()
    words = ["collect", "--questions", data / "questions.parquet", "--index", data / "index", "--out", out]
    words += ["--model-path", tmp_path / "model", "--samples", 200, "--episode", "think=false"]
    process = subprocess.Popen(
        [sys.executable, "-m", "drag_rl.cli.main", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not out.exists() or not out.stat().st_size:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert len(vllm_stand_in.running(started)) == 2
    process.send_signal(number)
    assert process.wait(60) == (130 if number == signal.SIGINT else -number)
    deadline = time.monotonic() + 40
    while vllm_stand_in.running(started):
        assert time.monotonic() < deadline
        time.sleep(0.05)
