"""A machine's check: a stage that fails is reported with its cause, and the rest goes on. Programs are stand-ins."""

from __future__ import annotations

import sys

import psutil
import pyarrow.parquet as pq
import pytest

from drag_rl.doctor.machine import __main__ as main
from drag_rl.doctor.machine import report as reporting
from drag_rl.doctor.machine import stages
from drag_rl.doctor.machine.report import Result, report
from drag_rl.doctor.machine.runs import Peak, StageError, cause, metrics, running
from drag_rl.doctor.machine.stages import STAGES, Check
from drag_rl.doctor.machine.world import World, make_world
from drag_rl.questions import read_questions

STEP = (
    "(TaskRunner pid=7) step:{} - actor/grad_norm:{} - training/rollout_actor_probs_pearson_corr:{} - "
    "perf/throughput:np.float64(250.4) - perf/time_per_step:3.25 - perf/max_memory_allocated_gb:5.5\n"
)


@pytest.fixture
def check(tmp_path):
    world = World(tmp_path / "data", tmp_path / "rows.parquet")
    return Check(tmp_path / "run", "cpu", "tiny", world, limit_s=20, tiny=True)


def started(monkeypatch, program):
    """Every script is this program instead; returns the command lines and knobs of what was started."""
    calls = []

    def script(name, *options):
        calls.append((name, options))
        return [sys.executable, "-S", "-c", program]

    monkeypatch.setattr(stages, "script", script)
    monkeypatch.setattr(stages, "_export", lambda _: [sys.executable, "-S", "-c", ""])
    return calls


def test_a_stage_that_fails_does_not_stop_the_others(check, capsys):
    def good(check):
        check.peak.gpu = 12.3
        return {"steps": "1, 2"}

    def bad(_):
        raise StageError("out of <memory>")

    def broken(_):
        return {}["key"]

    results = main.run_stages({"a": good, "b": bad, "c": broken, "d": good}, check, "tiny")
    assert [result.cause for result in results] == [None, "out of <memory>", "KeyError: 'key'", None]
    text = report(results, "gpu_1", 90)
    assert text.startswith("# drag-rl: check of HARDWARE=gpu_1: 2 of 4 stages FAILED, 1.5 minutes\n")
    assert "| tiny | a | ok | 0 | 12.3 | 0.0 |" in text and "| tiny | b | FAILED | 0 | - | 0.0 |" in text
    assert "- **b** (tiny): out of &lt;memory>" in text and "- **d** (tiny): steps: 1, 2" in text
    assert "[check] tiny: b: FAILED: out of <memory>" in capsys.readouterr().out


def test_the_machine_is_in_the_report(monkeypatch):
    def nvidia_smi(_, **__):
        return type("Done", (), {"stdout": "NVIDIA H100, 81559 MiB, 580.1\nNVIDIA H100, 81559 MiB, 580.1\n"})

    monkeypatch.setattr(reporting.subprocess, "run", nvidia_smi)
    text = report([Result("tiny", "SFT", 1.0, Peak())], "gpu_1", 60)
    assert "- GPUs: 2 x NVIDIA H100, 81559 MiB, 580.1\n" in text and "all 1 stages passed" in text
    assert "verl 0.9.1" in text and "- attention: sdpa: flash-attn is not installed" in text


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (STEP.format(1, 0.5, 0.9999) + STEP.format(2, 0.0, 0.998), None),
        (STEP.format(1, 0.5, 0.9999), "1 steps were logged"),
        (
            STEP.format(1, 0.5, 0.9999) + STEP.format(2, 0.5, 0.7),
            "the probabilities of step 2 correlate by 0.7000",
        ),
        (STEP.format(1, 0.5, 0.9999) + STEP.format(2, 0.5, "nan"), "of step 2 correlate by nan"),
        (
            STEP.format(1, 0.0, 0.9999) + STEP.format(2, 0.0, 0.9999),
            r"no step had a gradient \(actor/grad_norm\)",
        ),
    ],
)
def test_what_a_training_has_to_show(log, says):
    if says is None:
        seen = stages._learnt(metrics(log), ["actor/grad_norm"])
        assert seen == {
            "steps": "1, 2",
            "probabilities, engine to trainer": "r ≥ 0.99800",
            "tokens a second and device": "250",
            "seconds of the last step": "3.2",
            "trainer's peak": "5.5 GiB",
        }
    else:
        with pytest.raises(StageError, match=says):
            stages._learnt(metrics(log), ["actor/grad_norm"])


LIVES = """
import os, pathlib, sys, time
run = pathlib.Path(os.environ["RUN"])
marker = run / "checkpoints/latest_checkpointed_iteration.txt"
resumed = marker.exists()
first = 1 + int(marker.read_text() if resumed else 0)
for step in range(first, 5):
    print({step!r}.format(step, 0.5, 0.9999), flush=True)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.with_name("new").write_text(str(step))
    marker.with_name("new").rename(marker)
    time.sleep(0 if resumed else 30)
"""


def test_grpo_is_killed_after_a_checkpoint_and_goes_on(check, monkeypatch):
    calls = started(monkeypatch, LIVES.format(step=STEP))
    seen = STAGES["GRPO: text, adapter, weight sync, kill and resume"](check)
    assert seen["killed and resumed"] == "after step 1, at step 2" and seen["steps"] == "1, 2, 3, 4"
    assert check.adapter == check.folder / "grpo/adapter"
    ((name, options),) = calls
    assert name == "run_grpo.sh" and "actor_rollout_ref.rollout.n=8" in options


def test_a_run_that_starts_anew_after_a_kill_is_noticed(check, monkeypatch):
    started(monkeypatch, LIVES.format(step=STEP).replace("first = 1 +", "first = 1 + 0 *"))
    with pytest.raises(StageError, match="killed after the checkpoint of step 1, it went on at step 1"):
        stages.grpo(check)


def test_sft_has_to_learn(check, monkeypatch):
    program = """
import json, os, pathlib
folder = pathlib.Path(os.environ["RUN"]) / "metrics"
folder.mkdir(parents=True, exist_ok=True)
rows = [{{"step": i, "data": {{"train/loss": loss, "train/global_tokens": 800}}}} for i, loss in enumerate({})]
(folder / "1.jsonl").write_text("".join(json.dumps(row) + chr(10) for row in rows))
"""
    started(monkeypatch, program.format([6.0, 1.0]))
    assert stages.sft(check) == {"loss": "6.00 → 1.00 in 2 steps", "tokens of a step": "800"}
    assert check.trained == check.folder / "sft/model"
    check.trained = None
    started(monkeypatch, program.format([6.0, 5.0]))
    with pytest.raises(StageError, match=r"the loss went from 6.00 to 5.00: nothing was learnt"):
        stages.sft(check)
    assert check.trained is None, "the stages that follow start from the random model"


def test_images_have_to_be_read(check, monkeypatch):
    program = """
import json, os, pathlib
print({step!r}.format(1, 1, 1) + {step!r}.format(2, 1, 1))
folder = pathlib.Path(os.environ["RUN"]) / "rollouts"
folder.mkdir(parents=True, exist_ok=True)
turns = [{{"image_page_ids": shown}} for shown in {turns}]
(folder / "1.trajectories.jsonl").write_text(json.dumps({{"outcome": {{"turns": turns}}}}) + chr(10))
"""
    started(monkeypatch, program.format(step=STEP, turns=[["a#1"], []]))
    assert stages.grpo_on_images(check)["episodes that read a page image"] == "1 of 1"
    started(monkeypatch, program.format(step=STEP, turns=[[], ["a#1"]]))
    with pytest.raises(StageError, match="of 1 episodes none went on after a page image"):
        stages.grpo_on_images(check)


def test_without_an_adapter_nothing_is_served(check):
    with pytest.raises(StageError, match="no adapter to serve"):
        stages.serve(check)


def test_a_program_is_bounded_watched_and_ended_with_all_it_started(tmp_path):
    child = "import time; print('child', flush=True); time.sleep(60)"
    command = [
        sys.executable,
        "-S",
        "-c",
        f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {child!r}])",
    ]
    with (
        pytest.raises(StageError, match=r"not done after 0 s: child \(log: .*/log\)"),
        running(command, tmp_path / "log") as program,
    ):
        try:
            program.wait_for(program.said, 60)
            program.wait(0.3)
        finally:
            family = psutil.Process(program.process.pid).children(recursive=True)
    assert family and not any(process.is_running() for process in family)
    assert program.peak.host > 0


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("", "it said nothing"),
        ("Traceback\nValueError: no\nrun_grpo: the trainer has failed, see x", "ValueError: no"),
        ("run_grpo: the trainer has failed, see x", "run_grpo: the trainer has failed, see x"),
        ("RuntimeError: x\nrun_sft: 5 rows are few", "run_sft: 5 rows are few"),
        ("a\nb", "b"),
        (
            "\x1b[36m(Worker pid=7)\x1b[0m ray.exceptions.OutOfMemoryError: killed\nError log: see\nSet X",
            "\x1b[36m(Worker pid=7)\x1b[0m ray.exceptions.OutOfMemoryError: killed",
        ),
    ],
)
def test_the_cause_is_one_line(log, says):
    assert cause(log) == says


@pytest.mark.slow
def test_the_world_is_whole(tmp_path):
    world = make_world(tmp_path / "world")
    assert len(list(read_questions(world.data / "questions.train.parquet"))) == 20
    assert len(list(read_questions(world.data / "questions.val.parquet"))) == 5
    rows = pq.read_table(world.conversations).to_pylist()
    assert len(rows) == 480 and {len(row["turn_train"]) for row in rows} == {2, 3}
    assert rows[0]["messages"][-1]["content"] == "<answer>It needs care.</answer>"


def test_wrong_hardware_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HARDWARE", "tpu")
    monkeypatch.setenv("RUN", str(tmp_path))
    assert main.main() == 2
    assert capsys.readouterr().err == "check_gpu: HARDWARE=tpu: use cpu, gpu_1 or gpu_8\n"
    assert not list(tmp_path.iterdir())
