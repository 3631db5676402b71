"""``scripts/star.sh`` for real: two rounds with hints and adapters, one vLLM a round."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from drag_rl.files.manifest import read_manifest
from drag_rl.questions import read_questions
from drag_rl.trajectories.rows import read_trajectories

ROOT = Path(__file__).resolve().parents[2]
EPISODE = "max_turns=3 think=false snippet_chars=80"
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
    assert {t.model for t in honest} == {"speaking" if number == 1 else "adapter"}
    # One vLLM a round: who comes first has its log.
    logs = {path.name for path in (*run.glob(f"after-{number - 1}-*.log"), *folder.glob("*.log"))}
    assert logs == {f"after-{number - 1}-rounds.trajectories.jsonl.vllm.log"}
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
        "manifest.json",
    }


def test_run_again_with_another_filter_it_plays_and_trains_nothing_anew(
    star,
):  # the last: it writes training data
    run, _, play = star

    def made():
        kinds = ("trajectories.jsonl", "hinted*.jsonl", "*.safetensors", "*.pt", "*.vllm.log")
        return {path: path.stat().st_mtime_ns for kind in kinds for path in run.rglob(kind)}

    before = made()
    said = play(ABOVE_MEAN="1")
    assert made() == before
    assert said.count("nothing left to play") == 2 * ROUNDS
    assert said.count("already trained") == ROUNDS
    for number in range(1, ROUNDS + 1):
        stats = json.loads((run / f"round-{number}" / "stats.json").read_text())
        assert "above_mean" in stats["rules"]
        assert stats["valid"] == len(rows(run / f"round-{number}" / "processed.jsonl")) > 0
