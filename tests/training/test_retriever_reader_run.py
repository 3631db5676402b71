"""A reader learns from questions by the launch script: killed and resumed, on two ranks; and the result is searched."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import late_world
import pyarrow.parquet as pq
import pytest
import torch
from reader_lab import write_reader
from safetensors.torch import load_file

from drag_rl.questions import read_questions
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.training.curves import read_losses
from drag_rl.training.retriever.options import read_options
from drag_rl.training.retriever.task import Task
from drag_rl.training.retriever.train import train_retriever

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CONFIGS = late_world.ROOT / "configs"
FILES = [
    str(CONFIGS / f"{name}.yaml") for name in ("retriever", "retriever_hardware/cpu", "retriever_reader")
]
COMMON = ("report_to=[]", "loss.temperature=0.1", "learning_rate=1e-3", "projection_learning_rate=1e-2")
STEPS = 16


@pytest.fixture(scope="module")
def few(symbols: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A reader that has learnt nothing, and some questions, by which it is measured, too."""
    folder = tmp_path_factory.mktemp("few")
    questions = pq.read_table(symbols / "questions.train.parquet").slice(0, 48)
    pq.write_table(questions, folder / "few.parquet")
    model = write_reader(folder / "reader")
    return {"MODEL": str(model), "TRAIN": str(folder / "few.parquet"), "VAL": str(folder / "few.parquet")}


def here(symbols: Path, few: dict[str, str], run: Path, *options: str) -> Path:
    """Train in this process."""
    questions = Path(few["TRAIN"])
    task = Task(
        model=few["MODEL"],
        adapter=None,
        pages=symbols / "pages",
        train=questions,
        val=questions,
        run=run,
    )
    return train_retriever(task, read_options(FILES, [*options]))


def start_and_kill(symbols: Path, run: Path, step: int, *options: str, **env: str) -> None:
    """Start the script, and end it as by a power cut once it has a checkpoint of the step."""
    process = subprocess.Popen(
        ["bash", str(late_world.ROOT / "scripts" / "run_retriever.sh"), *options],
        env={**os.environ, "PAGES": str(symbols / "pages"), "RUN": str(run), "HARDWARE": "cpu", **env},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not (run / f"checkpoints/checkpoint-{step}/trainer_state.json").exists():
        assert process.poll() is None and time.monotonic() < deadline, (run / "train.log").read_text()[-2000:]
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run / "model").exists()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors") | load_file(folder / "words.safetensors")


def assert_weights(found: Path, expected: Path, *, atol: float, rtol: float) -> None:
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, atol=atol, rtol=rtol, msg=name)


def test_a_killed_run_learns_as_an_unbroken_one_and_finds_pages(symbols, few, tmp_path):
    options = (*COMMON, f"max_steps={STEPS}", f"evaluation.steps={STEPS}", "save_steps=4")
    whole = here(symbols, few, tmp_path / "whole", *options)
    start_and_kill(symbols, tmp_path / "broken", 8, *options, **few)
    again = late_world.run_script(symbols, tmp_path / "broken", *options, **few)
    assert again.returncode == 0, (again.stdout + again.stderr)[-2000:]
    assert_weights(tmp_path / "broken/model", whole, atol=1e-5, rtol=1e-4)
    losses = read_losses(tmp_path / "broken" / "metrics")
    assert [*losses] == [*range(STEPS + 1)] and losses[STEPS]["loss"] < losses[1]["loss"] / 2
    ranks = late_world.curve(tmp_path / "broken", "val/mrr")
    assert ranks[0] < 0.3 and ranks[STEPS] > 0.7, "among 40 pages"

    build_index(symbols / "pages", tmp_path / "index", "late", model=str(tmp_path / "broken/model"))
    asked = read_questions(Path(few["TRAIN"]))
    queries = [Query(text=question.text, track=question.gold_page_ids) for question in asked]
    rankings = asyncio.run(open_retriever(tmp_path / "index").search(queries, 1))
    assert sum(1 / ranking.tracked[0] for ranking in rankings) / len(rankings) > 0.7, (
        "among 50 pages, of a third of their vectors"
    )


def test_two_ranks_train_as_one_does_with_twice_the_batch(symbols, few, tmp_path):
    """With mined pages and the gradient cache, whose last part alone is what ranks wait for."""
    options = (
        *COMMON,
        *("max_steps=3", "bf16=false", "mini_batch_size=3", "evaluation.steps=3"),
        *("negatives.per_question=1", "negatives.sources=[model]", "negatives.max_share=0"),
    )
    alone = here(symbols, few, tmp_path / "one", *options, "batch_size=8")
    done = late_world.run_script(symbols, tmp_path / "two", *options, "batch_size=4", RANKS="2", **few)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    one, two = (read_losses(tmp_path / run / "metrics") for run in ("one", "two"))
    assert [*one] == [*two] == [0, 1, 2, 3]
    for step in (1, 2, 3):
        for name in ("loss", "gradient norm"):
            assert two[step][name] == pytest.approx(one[step][name], rel=1e-3), (step, name)
    assert_weights(tmp_path / "two/model", alone, atol=2e-3, rtol=1e-2)
