"""Real vLLM servers of the tiny model: one for all of this file, as scripts/serve_vllm.sh serves it, with an adapter;
and one that ``drag collect`` starts itself, is killed with, and starts again.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest
import training_lab
from PIL import Image

from drag_rl.cli.main import main
from drag_rl.questions import read_questions
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import StopReason

ROOT = Path(__file__).resolve().parents[2]
EPISODE = "max_turns=3 think=false snippet_chars=80"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def drag(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def command(data, out, *more):
    words = ["collect", "--questions", data / "questions.train.parquet", "--index", data / "index"]
    words += ["--out", out, "--sampling", "high_temp", "--max-tokens", 48, "--episode", EPISODE]
    return [str(word) for word in (*words, *more)]


@pytest.fixture(scope="module")
def adapter(world, tmp_path_factory):
    """A LoRA adapter whose weights are large: it changes what the model says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    _, model = world
    torch.manual_seed(0)
    base = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32)
    targets = r".*language_model.*\.(q_proj|v_proj)"
    lora = get_peft_model(base, LoraConfig(r=4, target_modules=targets, init_lora_weights=False))
    for name, weight in lora.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=1.0)
    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    lora.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def url(world, adapter, tmp_path_factory):
    """Where the model answers as ``base``, and with the adapter as ``mine``; it ends with all that it started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [world[1], "--name", "base", "--adapter", f"mine={adapter}", "--port", port]
    words += ["--", "--max-model-len", 4096, "--dtype", "float32"]
    log = (tmp_path_factory.mktemp("server") / "log").open("w+b")
    process = subprocess.Popen(
        ["bash", str(ROOT / "scripts" / "serve_vllm.sh"), *map(str, words)],
        start_new_session=True,
        stdout=log,
        stderr=log,
    )
    try:
        deadline = time.monotonic() + 600
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                log.seek(0)
                assert process.poll() is None and time.monotonic() < deadline, log.read()[-3000:].decode()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
        running = training_lab.processes(process)
        process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(running, timeout=40)
        assert not alive
    finally:
        training_lab.kill(process)


def ask(url, path, **body):
    request = Request(f"{url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=300) as reply:
        return json.load(reply)


SAMPLED = {"temperature": 1.0, "max_tokens": 24, "seed": 0, "ignore_eos": True, "return_token_ids": True}


def worst_difference(model, inputs, tokens, log_probabilities):
    """Between the log-probabilities that vLLM gave the tokens it sampled and those of transformers."""
    import torch

    sampled = torch.tensor([tokens])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], sampled], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == model.config.image_token_id).long()
    with torch.no_grad():
        logits = model(**inputs).logits[:, -sampled.shape[1] - 1 : -1]
    expected = logits.log_softmax(-1).gather(-1, sampled[..., None]).flatten()
    return float((expected - torch.tensor(log_probabilities)).abs().max())


def test_every_token_has_the_probability_that_transformers_gives_it(world, adapter, url, tmp_path):
    """Of the model; of the adapter, which is that of the merged model; and after an image."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from drag_rl.training.merge import merge_adapter

    data, folder = world
    merged = merge_adapter(adapter, tmp_path / "merged")
    processor = AutoProcessor.from_pretrained(folder)
    models = {
        name: AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32)
        for name, path in {"base": folder, "mine": merged}.items()
    }
    questions = read_questions(data / "questions.train.parquet")[:3]
    said = {name: [] for name in models}
    for name, model in models.items():
        for question in questions:
            prompt = f"<|im_start|>user\n{question.text}<|im_end|>\n<|im_start|>assistant\n"
            (choice,) = ask(url, "completions", model=name, prompt=prompt, logprobs=0, **SAMPLED)["choices"]
            inputs = processor(text=[prompt], return_tensors="pt")
            assert choice["prompt_token_ids"] == inputs["input_ids"][0].tolist()
            said[name].append(choice["token_ids"])
            found = worst_difference(model, inputs, choice["token_ids"], choice["logprobs"]["token_logprobs"])
            assert found < 1e-3, name
    assert said["base"] != said["mine"]

    image = Image.linear_gradient("L").resize((300, 400)).convert("RGB")
    png = io.BytesIO()
    image.save(png, "PNG")
    shown = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    for parts in (["text"], ["image", "text"]):
        content = {
            "text": {"type": "text", "text": "What is it?"},
            "image": {"type": "image_url", "image_url": {"url": shown}},
        }
        messages = [{"role": "user", "content": [content[part] for part in parts]}]
        reply = ask(url, "chat/completions", model="base", messages=messages, logprobs=True, **SAMPLED)
        (choice,) = reply["choices"]
        rendered = [
            {"type": part, "text": "What is it?"} if part == "text" else {"type": part} for part in parts
        ]
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": rendered}], tokenize=False, add_generation_prompt=True
        )
        inputs = processor(text=[prompt], images=[image] if "image" in parts else None, return_tensors="pt")
        assert reply["prompt_token_ids"] == inputs["input_ids"][0].tolist()
        given = [token["logprob"] for token in choice["logprobs"]["content"]]
        assert worst_difference(models["base"], inputs, choice["token_ids"], given) < 1e-3, parts


def test_an_adapter_is_collected_from(world, url, tmp_path, capsys):
    out = tmp_path / "adapter.jsonl"
    words = command(world[0], out, "--base-url", url, "--model", "mine", "--limit", 5)
    code, _, err = drag(capsys, *words)
    assert code == 0, err
    rows = list(read_trajectories(out))
    assert {row.model for row in rows} == {"mine"} and not any(row.error for row in rows)
    malformed = sum(row.outcome.turns[0].action.kind == "malformed" for row in rows)
    assert malformed >= 3  # the adapter spoils the model


def test_page_images_reach_the_model(world, url, tmp_path, capsys):
    out = tmp_path / "images.jsonl"
    words = command(world[0], out, "--base-url", url, "--model", "base", "--limit", 5)
    words += ["--pages", world[0] / "pages", "--episode", "observation=both", "--max-pixels", 16384]
    code, _, err = drag(capsys, *words)
    assert code == 0, err
    shown = [row for row in read_trajectories(out) if len(row.generations) > 1]
    assert shown and all(row.outcome.turns[0].image_page_ids for row in shown if row.outcome.turns[0].hits)


def serving(model):
    """The processes whose command line names the model's folder."""
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if str(model) in (process.info["cmdline"] or ())]


def test_killed_it_takes_its_vllm_along_and_goes_on_with_another(world, url, tmp_path, capsys):
    """The collector's own vLLM; and the same seeds draw the same words from another server."""
    data, model = world
    own = shutil.copytree(model, tmp_path / "own")  # its processes are told from those of the other server
    out = tmp_path / "t.jsonl"
    words = command(data, out, "--model-path", own, "--samples", 6, "--vllm-options", "--max-model-len 4096")
    process = subprocess.Popen(
        [sys.executable, "-m", "drag_rl.cli.main", *words, "--concurrency", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 600
    while not out.exists() or not out.stat().st_size:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    _, alive = psutil.wait_procs(started, timeout=40)
    assert not alive

    code, said, err = drag(capsys, *words)
    assert code == 0, err
    assert "0 errors" in said and not serving(own)
    trajectories = list(read_trajectories(out))
    assert len({(t.outcome.question.question_id, t.sample) for t in trajectories}) == len(trajectories) == 120
    searched = [t for t in trajectories if t.outcome.searches]
    answered = [t for t in trajectories if t.outcome.stop_reason == StopReason.ANSWERED]
    assert len(searched) > 80 and len(answered) > 18
    for trajectory in trajectories:
        for turn, generation in zip(trajectory.outcome.turns, trajectory.generations, strict=True):
            assert generation.completion_tokens <= 48 and generation.prompt_tokens > 0
            assert "<|" not in turn.text  # the token that ends a message is no text
    # The stop string is text, except where the model itself ended without it.
    searches = [turn.text for row in trajectories for turn in row.outcome.searches]
    assert sum(text.endswith("</search>") for text in searches) > 0.8 * len(searches)
    code, said, _ = drag(capsys, *words)
    assert code == 0 and "nothing left" in said

    again = tmp_path / "again.jsonl"
    words = command(data, again, "--base-url", url, "--model", "base", "--limit", 5, "--concurrency", 1)
    assert drag(capsys, *words)[0] == 0
    first = {t.trajectory_id: t.outcome.turns[0].text for t in trajectories}
    same = [t.outcome.turns[0].text == first[t.trajectory_id] for t in read_trajectories(again)]
    assert sum(same) >= 4  # another batch may round otherwise


def test_a_vllm_that_does_not_start_names_its_log(world, tmp_path, capsys):
    data, model = world
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "config.json").write_text('{"model_type": "klingon"}')
    out = tmp_path / "t.jsonl"
    code, _, err = drag(capsys, *command(data, out, "--model-path", broken))
    assert code == 2 and err.count("\n") == 1
    assert f"its log is {out}.vllm.log" in err and "klingon" in err and not serving(broken)
