"""Whole trainings of retrievers by the launch script: killed and resumed, on two ranks, with mined pages."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import late_world
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.questions import write_questions
from drag_rl.retrieval.late.embedder import MultiVectorSettings
from drag_rl.retrieval.late.loading import load_encoder
from drag_rl.training.curves import read_losses
from drag_rl.training.retriever.options import read_options
from drag_rl.training.retriever.task import Task
from drag_rl.training.retriever.train import train_retriever
from drag_rl.types import Question

SHORT = ("lora.r=4", "batch_size=8", "warmup_steps=0", "learning_rate=1e-2", "report_to=[]")
MAIN = str(late_world.ROOT / "configs" / "retriever.yaml")
CPU = str(late_world.ROOT / "configs" / "retriever_hardware" / "cpu.yaml")


@pytest.fixture
def here(symbols, untrained, tmp_path):
    """Train in this process on the world of symbols."""

    def train(*options, run="run", **task):
        what = {
            "model": str(untrained),
            "adapter": None,
            "pages": symbols / "pages",
            "train": symbols / "questions.train.parquet",
            "val": None,
            "run": tmp_path / run,
        }
        return train_retriever(Task(**(what | task)), read_options([MAIN, CPU], [*SHORT, *options]))

    return train


def weights(folder):
    (path,) = folder.glob("*.safetensors")
    return load_file(path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(symbols, untrained, here, tmp_path):
    """It is killed in its second epoch of three; dropout and the order of rows go on as they were."""
    small = pq.read_table(symbols / "questions.train.parquet").slice(0, 32)
    pq.write_table(small, tmp_path / "few.train.parquet")
    options = ("epochs=3", "save_steps=2", "lora.dropout=0.3")
    unbroken = here(*options, run="unbroken", train=tmp_path / "few.train.parquet")
    run = tmp_path / "broken"
    environment = {
        **os.environ,
        "MODEL": str(untrained),
        "PAGES": str(symbols / "pages"),
        "TRAIN": str(tmp_path / "few.train.parquet"),
        "VAL": "",
        "RUN": str(run),
        "HARDWARE": "cpu",
    }
    command = ["bash", str(late_world.ROOT / "scripts" / "run_retriever.sh"), *SHORT, *options]
    process = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not (run / "checkpoints/checkpoint-6/trainer_state.json").exists():
        assert process.poll() is None and time.monotonic() < deadline, (run / "train.log").read_text()[-2000:]
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run / "adapter").exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    expected, found = weights(unbroken), weights(run / "adapter")
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-5, rtol=1e-4, msg=name)
    losses = read_losses(run / "metrics")
    assert [*losses] == [*range(1, 13)] and len([*(run / "metrics").glob("*.jsonl")]) == 2
    for step, row in read_losses(tmp_path / "unbroken" / "metrics").items():
        assert losses[step]["loss"] == pytest.approx(row["loss"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "options",
    [
        ("loss.name=infonce", "loss.temperature=0.5", "mini_batch_size=3"),
        ("loss.name=pairwise", "loss.temperature=1.0"),
    ],
    ids=["infonce-cached", "pairwise"],
)
def test_two_ranks_train_as_one_does_with_twice_the_batch(symbols, untrained, here, tmp_path, options):
    """Pages of both ranks are each question's negatives, in both directions, and gradients cross between ranks."""
    common = (*options, "max_steps=3", "lora.dropout=0", "logging_steps=1", "evaluation.steps=3")
    validation = symbols / "questions.val.parquet"
    alone = here(*common, "batch_size=8", run="one", val=validation)
    done = late_world.run_script(
        symbols, tmp_path / "two", *SHORT, *common, "batch_size=4", MODEL=str(untrained), RANKS="2"
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    one, two = (read_losses(tmp_path / run / "metrics") for run in ("one", "two"))
    assert [*one] == [*two] == [0, 1, 2, 3]
    for step in (1, 2, 3):
        for name in ("loss", "gradient norm"):
            assert two[step][name] == pytest.approx(one[step][name], rel=1e-3), (step, name)
    for step in (0, 3):
        for measure in ("mrr", "ndcg@5"):
            name = f"val/{measure}"
            there, here_ = (late_world.curve(tmp_path / run, name)[step] for run in ("two", "one"))
            assert there == pytest.approx(here_, abs=0.02)
    expected, found = weights(alone), weights(tmp_path / "two" / "adapter")
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=2e-3, rtol=1e-2, msg=name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_mined_pages_of_bm25_and_of_the_model_are_trained_against(make_pdf, untrained, here, tmp_path):
    options = (
        "loss.name=hard-negative",
        "loss.both_directions=false",
        "negatives.per_question=3",
        "negatives.sources=[bm25,model]",
        "negatives.max_share=0",
        "max_steps=2",
    )
    (tmp_path / "pdfs").mkdir()
    texts = [f"valve {' '.join(late_world.NAMES[n : n + 4])}" for n in range(0, 48, 4)]
    (tmp_path / "pdfs" / "valves.pdf").write_bytes(make_pdf(texts, width=240, height=160))
    ingest_pdfs(tmp_path / "pdfs", tmp_path / "pages", ReadOptions())
    asked = [
        Question(
            question_id=str(number),
            text=f"valve {text.split()[1]}",
            gold_page_ids=(f"valves#{number}",),
            answers=(),
            data_source="valves",
        )
        for number, text in enumerate(texts, start=1)
    ]
    data = {"pages": tmp_path / "pages", "train": tmp_path / "valves.train.parquet"}
    write_questions(data["train"], asked, "train")
    adapter = here(*options, **data)
    rows = pq.read_table(tmp_path / "run" / "negatives.parquet").to_pylist()
    questions = {question.question_id: question for question in asked}
    assert len(rows) == len(questions) == 12
    for row in rows:
        assert len(set(row["page_ids"])) == 3
        assert not {*row["page_ids"]} & {*questions[row["question_id"]].gold_page_ids}
    counts = read_manifest(tmp_path / "run" / "negatives.parquet").counts
    assert counts["bm25"] >= len(rows) and counts["model"] >= len(rows)
    before = (tmp_path / "run" / "negatives.parquet").stat().st_mtime_ns
    here(*options, **data)
    assert (tmp_path / "run" / "negatives.parquet").stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"negatives.parquet: was mined with other questions or options"):
        here(*options, "negatives.depth=7", **data)
    # An adapter goes on, in bfloat16, with gradient checkpointing.
    again = here(
        "bf16=true",
        "gradient_checkpointing=true",
        "max_steps=2",
        "mini_batch_size=4",
        run="again",
        adapter=str(adapter),
        **data,
    )
    first, second = weights(adapter), weights(again)
    assert first.keys() == second.keys()
    assert any(not torch.equal(second[name].float(), weight.float()) for name, weight in first.items())
    assert load_encoder(MultiVectorSettings(model=str(untrained), adapter=str(again), device="cpu"))
    over_4bit = here("load_in_4bit=true", "max_steps=1", run="over-4-bit", **data)
    assert weights(over_4bit).keys() == first.keys()


@pytest.mark.parametrize(
    ("options", "task", "says"),
    [
        (
            ("batch_size=500",),
            {"small": 2},
            "batch_size=500: 1 devices take 500 rows a batch, and there are 2",
        ),
        (("batch_size=1",), {"small": 2}, "batch_size=1: a question alone has no wrong page"),
        ((), {"pages": "nowhere"}, "nowhere does not exist"),
        ((), {"train": "nowhere.parquet"}, "nowhere.parquet: no such file"),
        ((), {"adapter": "nowhere"}, "--adapter nowhere"),
        (
            ("negatives.per_question=1", "negatives.sources=[nowhere]"),
            {"small": 2},
            "nowhere does not exist",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(symbols, here, tmp_path, options, task, says):
    from pathlib import Path

    what = {
        name: Path(value) if name != "adapter" else value for name, value in task.items() if name != "small"
    }
    if "small" in task:
        few = pq.read_table(symbols / "questions.train.parquet").slice(0, task["small"])
        pq.write_table(few, tmp_path / "few.parquet")
        what["train"] = tmp_path / "few.parquet"
    with pytest.raises(InputError) as error:
        here(*options, **what)
    assert says in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run" / "adapter").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_base_model_is_given_a_projection_which_its_adapter_holds(tiny_model, here):
    adapter = here("max_steps=1", "batch_size=2", model=str(tiny_model))
    encoder = load_encoder(MultiVectorSettings(model=str(tiny_model), adapter=str(adapter), device="cpu"))
    assert encoder.encode_query("amber").shape[1] == 128
    with pytest.raises(InputError, match="has no projection"):
        load_encoder(MultiVectorSettings(model=str(tiny_model), device="cpu"))


def test_what_somebody_else_put_there_is_kept(here, tmp_path):
    (tmp_path / "run/adapter").mkdir(parents=True)
    (tmp_path / "run/adapter/mine").write_text("mine")
    with pytest.raises(InputError, match="adapter: has no manifest"):
        here()
    assert (tmp_path / "run/adapter/mine").read_text() == "mine"
