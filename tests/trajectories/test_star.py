"""``scripts/star.sh`` for real: two rounds with hints and adapters; its adapter served, merged and collected from."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pyarrow.parquet as pq
import pytest
import training_lab

from drag_rl.manifest import read_manifest
from drag_rl.questions import read_questions
from drag_rl.trajectories.rows import read_trajectories

ROOT = Path(__file__).resolve().parents[2]
EPISODE = "max_turns=3 think=false citations=false snippet_chars=80"
ROUNDS, SAMPLES, BATCH, EPOCHS = 2, 8, 4, 2
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def star(world, tmp_path_factory):
    """The folder of a run of two rounds, and how to run the same command again."""
    data, model = world
    run = tmp_path_factory.mktemp("star") / "run"
    environment = {
        **os.environ,
        "MODEL": str(model),
        "DATA": str(data),
        "RUN": str(run),
        "HARDWARE": "cpu",
        "HINTS": "1",
        "LORA_RANK": "8",
        "SAMPLES": str(SAMPLES),
        "SAMPLING": "high_temp",
        "PER_QUESTION": "2",
        "MAX_TOKENS": "48",
        "CONCURRENCY": "16",
        "EPISODE": EPISODE,
        "VLLM": "--max-model-len 4096",
    }
    trainer = [f"data.train_batch_size={BATCH}", f"trainer.total_epochs={EPOCHS}", "optim.lr=3e-3"]
    command = ["bash", str(ROOT / "scripts" / "star.sh"), "--rounds", str(ROUNDS), "--", *trainer]

    def play(**more):
        done = subprocess.run(
            command, env=environment | more, capture_output=True, text=True, timeout=1500, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    return run, play(), play


def rows(path):
    return list(read_trajectories(path))


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_the_counts_of_each_stage_agree(world, star, number):
    run, *_ = star
    questions = {q.question_id: q for q in read_questions(world[0] / "questions.train.parquet")}
    folder = run / f"round-{number}"
    honest = rows(folder / "trajectories.jsonl")
    assert Counter((t.outcome.question.question_id, t.sample) for t in honest) == {
        (question_id, sample): 1 for question_id in questions for sample in range(SAMPLES)
    }
    assert not any(t.hint_page_ids for t in honest)
    assert {t.model for t in honest} == {"tiny" if number == 1 else "adapter"}
    # Every question that was never solved is played once more with a hint, and its row is in one of two files.
    solved = {t.outcome.question.question_id for t in honest if t.outcome.solved}
    hinted, dropped = rows(folder / "hinted.jsonl"), rows(folder / "hinted.dropped.jsonl")
    tried = [(t.outcome.question.question_id, t.sample) for t in hinted + dropped]
    assert sorted(tried) == sorted((question_id, SAMPLES) for question_id in questions.keys() - solved)
    assert all(t.hint_page_ids == questions[t.outcome.question.question_id].gold_page_ids for t in hinted)
    assert all(t.outcome.solved for t in hinted)
    # Filter: all that it read is kept or counted.
    stats = json.loads((folder / "stats.json").read_text())
    kept = rows(folder / "processed.jsonl")
    assert stats["total"] == len(honest) + len(hinted) == stats["valid"] + stats["filtered"]
    assert stats["valid"] == len(kept) == read_manifest(folder / "processed.jsonl").counts["valid"]
    assert stats["filtered"] == sum(rule["dropped"] for rule in stats["rules"].values())
    assert stats["hinted"] == len(hinted)
    assert max(Counter(t.outcome.question.question_id for t in kept).values()) <= 2
    # Format: a row for each, but for those with nothing to learn; hinted ones are marked.
    counts = read_manifest(folder / "training_data").counts
    train, val = (
        pq.read_table(folder / "training_data" / f"sft_trajectory_{split}.parquet").to_pylist()
        for split in ("train", "val")
    )
    assert counts["trajectories"] == len(kept)
    assert len(train) + len(val) + counts.get("sft_trajectory_nothing_to_learn", 0) == len(kept)
    assert (len(train), len(val)) == (counts["sft_trajectory_train"], counts["sft_trajectory_val"])
    marked = {(row["question_id"], row["sample"]) for row in train + val if row["hinted"]}
    assert marked == {(t.outcome.question.question_id, t.sample) for t in kept if t.hint_page_ids}
    assert "Help for this one time" not in json.dumps(train + val)
    # SFT: as many steps as there are whole batches.
    metrics = "".join(path.read_text() for path in (folder / "sft" / "metrics").glob("*.jsonl"))
    steps = {row["step"] for row in map(json.loads, metrics.splitlines()) if "train/loss" in row["data"]}
    assert steps == set(range(1, len(train) // BATCH * EPOCHS + 1))
    assert (folder / "sft" / "adapter" / "adapter_model.safetensors").is_file()


def test_rounds_share_no_document_across_the_split_and_use_the_adapter_before(star):
    run, *_ = star
    sides = [read_manifest(run / f"round-{n}" / "training_data").config["documents"] for n in (1, 2)]
    assert all(sides[1][document] == side for document, side in sides[0].items() if document in sides[1])
    inputs = [read_manifest(run / f"round-{n}" / "trajectories.jsonl").inputs for n in (1, 2)]
    assert "adapter" not in inputs[0]
    assert inputs[0]["model"] == inputs[1]["model"]
    assert len(inputs[1]["adapter"]) == 64
    seeds = [read_manifest(run / f"round-{n}" / "trajectories.jsonl").config["seed"] for n in (1, 2)]
    assert len(set(seeds)) == ROUNDS


def test_the_rounds_stand_in_one_table(world, star):
    run, said, _ = star
    asked = len(read_questions(world[0] / "questions.val.parquet"))
    results = [json.loads((run / f"after-{n}-rounds.json").read_text()) for n in range(ROUNDS + 1)]
    assert all(len(result["rows"]) == asked for result in results)
    compared, table = said.split("success, hit@1 and first-search MRR by round")
    for n in range(ROUNDS + 1):
        assert f"after-{n}-rounds" in compared
    rounds = (run / "rounds.md").read_text()
    assert rounds in table and rounds.count("\n") == 2 + ROUNDS + 1
    assert {path.name for path in (run / "comparison").iterdir()} == {
        "compare.md",
        "compare.json",
        "compare.png",
    }


def test_run_again_it_does_nothing_anew(star):
    run, _, play = star

    def made():
        kinds = ("*.jsonl", "*.safetensors", "*.parquet", "*.pt", "*.vllm.log")
        return {path: path.stat().st_mtime_ns for kind in kinds for path in run.rglob(kind)}

    before, contents = made(), {path: path.read_bytes() for path in run.rglob("*.jsonl")}
    said = play()
    # Filter and format write the same files again; nothing is collected, served or trained.
    assert {path: path.read_bytes() for path in run.rglob("*.jsonl")} == contents
    again = [path for path, when in made().items() if before.get(path) != when]
    assert all("training_data" in path.parts or path.name == "processed.jsonl" for path in again)
    assert said.count("nothing left to play") == 2 * ROUNDS
    assert said.count("already trained") == ROUNDS


@contextmanager
def served(*words):
    """scripts/serve_vllm.sh until it answers; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--", "--max-model-len", "2048", "--dtype", "float32"]
    command = ["bash", str(ROOT / "scripts" / "serve_vllm.sh"), *map(str, words), *options]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 400
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        training_lab.kill(process)


def greedy(url, model, prompts):
    """The greedy continuations, and the log-probability of each of their tokens."""
    body = {"model": model, "prompt": prompts, "max_tokens": 24, "temperature": 0, "logprobs": 0}
    request = Request(f"{url}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=120) as reply:
        choices = sorted(json.load(reply)["choices"], key=lambda choice: choice["index"])
    return [choice["text"] for choice in choices], [
        choice["logprobs"]["token_logprobs"] for choice in choices
    ]


def test_an_adapter_served_and_the_merged_model_say_the_same(world, star, tmp_path):
    from drag_rl.training.merge import merge_adapter

    (data, model), (run, *_) = world, star
    adapter = run / f"round-{ROUNDS}" / "sft" / "adapter"
    questions = read_questions(data / "questions.train.parquet")[:6]
    prompts = [f"<|im_start|>user\n{q.text}<|im_end|>\n<|im_start|>assistant\n" for q in questions]
    with served(model, "--name", "base", "--adapter", f"sft={adapter}") as url:
        base_texts, base = greedy(url, "base", prompts)
        texts, adapted = greedy(url, "sft", prompts)
        out = tmp_path / "t.jsonl"
        words = [
            "collect",
            "--questions",
            data / "questions.train.parquet",
            "--index",
            data / "index",
            "--out",
            out,
        ]
        words += [
            "--base-url",
            url,
            "--model",
            "sft",
            "--samples",
            2,
            "--max-tokens",
            48,
            "--episode",
            EPISODE,
        ]
        subprocess.run([sys.executable, "-m", "drag_rl.cli.main", *map(str, words)], check=True, timeout=300)
    with served(merge_adapter(adapter, tmp_path / "merged"), "--name", "merged") as url:
        merged_texts, merged = greedy(url, "merged", prompts)
    assert texts == merged_texts
    for ours, theirs in zip(adapted, merged, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)
    assert base_texts != texts or any(
        one != pytest.approx(other, abs=1e-2) for one, other in zip(base, adapted, strict=True)
    ), "the adapter changes nothing"
    collected = rows(out)
    assert Counter(t.sample for t in collected) == {0: 20, 1: 20}
    assert read_manifest(out).counts["episodes"] == 40 and not any(t.error for t in collected)
    assert {t.model for t in collected} == {"sft"}
    assert sum(bool(t.outcome.searches) for t in collected) > 20


def test_above_mean_reaches_the_filter(star):  # the last here: it writes the training data anew
    run, _, play = star
    said = play(ABOVE_MEAN="1")
    assert said.count("already trained") == ROUNDS
    for number in range(1, ROUNDS + 1):
        stats = json.loads((run / f"round-{number}" / "stats.json").read_text())
        assert "above_mean" in stats["rules"]
        assert stats["valid"] == len(rows(run / f"round-{number}" / "processed.jsonl")) > 0
