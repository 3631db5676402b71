"""Every knob of the launch scripts does what its header says: the programs that they start are stand-ins that tell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from launch_lab import stand_ins, told

from drag_rl.training.launch.knobs import KNOBS

ROOT = Path(__file__).resolve().parents[1]
RUNS = "if 'FAILS' in os.environ: sys.exit(os.environ['FAILS'])"
MODULES = {
    "torch/distributed/run.py": RUNS,
    "verl/trainer/main_ppo.py": RUNS,
    "drag_rl/cli/main.py": """
if sys.argv[1] == "format":
    folder = sys.argv[sys.argv.index("--output-dir") + 1]
    os.makedirs(folder, exist_ok=True)
    for split in ("train", "val"):
        open(f"{folder}/{os.environ['FORMAT']}_{split}.parquet", "w").close()
""",
    "drag_rl/cli/together.py": "",
    "drag_rl/evaluation/rounds.py": "",
    "drag_rl/training/export.py": "os.mkdir(sys.argv[2] + '/model')",
}
TRAINS = """
if 'FAILS' in os.environ: sys.exit(os.environ['FAILS'])
kind = "adapter" if os.environ["LORA_RANK"] != "0" else "model"
os.makedirs(os.environ["RUN"] + "/" + kind)
"""


@pytest.fixture
def launch(tmp_path):
    """Run a script with knobs; returns what it started, as command lines and environments."""
    data = tmp_path / "data"
    (data / "index").mkdir(parents=True)
    (data / "pages").mkdir()
    (data / "pages" / "pages.parquet").touch()
    for name in ("questions.train", "questions.val", "rows_train", "rows_val"):
        pq.write_table(pa.table({"row": [1]}), data / f"{name}.parquet")

    def run(script, *options, **knobs):
        trainer = {"drag_rl/training/launch/__main__.py": TRAINS} if script == "star.sh" else {}
        fake = stand_ins(tmp_path / "fake", MODULES | trainer)
        environment = {
            **os.environ,
            **fake,
            "HARDWARE": "cpu",
            "MODEL": "org/m",
            "DATA": str(data),
            "PAGES": str(data / "pages"),
            "TRAIN": str(data / "rows_train.parquet"),
            "RUN": str(tmp_path / "run"),
            "FORMAT": "sft_trajectory",
            "LORA_RANK": "0",
            **knobs,
        }
        command = ["bash", str(ROOT / "scripts" / script), *options]
        subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=100)
        calls = told(fake)
        return [shlex.join(words[1:]) for words, _ in calls], [environment for _, environment in calls]

    return run


@pytest.mark.parametrize("script", KNOBS)
def test_the_header_names_every_knob_with_its_default(script):
    name = {"star": "star.sh", "check": "check_gpu.sh"}.get(script, f"run_{script}.sh")
    header = (ROOT / "scripts" / name).read_text().split("set -euo pipefail")[0]
    shown = {}
    for words, rest in re.findall(r"^#   ((?:[A-Z_]+ )+) *(.*(?:\n#    {5,}.*)*)", header, re.MULTILINE):
        for knob in words.split():
            default = re.search(r"\(([^()]*)\)$", rest.rstrip())
            shown[knob] = default[1].split(",")[0] if default else None
    assert shown.keys() == KNOBS[script].keys()
    for knob, takes in KNOBS[script].items():
        if takes.default and shown[knob] is not None:
            assert shown[knob] == takes.default, knob


@pytest.mark.parametrize(
    "script",
    [
        *("run_grpo", "run_ppo", "run_sft", "run_dpo", "run_retriever"),
        *("star", "serve_vllm", "check_gpu", "train_reader"),
    ],
)
def test_help_is_the_header(script):
    path = ROOT / "scripts" / f"{script}.sh"
    said = subprocess.run(
        ["bash", path, "--help"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    header = path.read_text().split("\nset -euo pipefail")[0].splitlines()[1:]
    assert said.splitlines() == [line.removeprefix("#").removeprefix(" ") for line in header]


def test_sft_is_trained_and_exported(launch, tmp_path):
    (train, export), (environment, _) = launch("run_sft.sh", "optim.lr=1", VAL="")
    assert "--nproc_per_node=1 -m verl.trainer.sft_trainer " in train and train.endswith("optim.lr=1")
    assert export == f"--run {tmp_path}/run" and environment["VERL_PLATFORM"] == "cpu"
    assert shlex.split((tmp_path / "run/command.txt").read_text())[-1] == "optim.lr=1"


def test_a_run_at_its_last_step_is_only_exported(launch, tmp_path):
    marker = tmp_path / "run/checkpoints/latest_checkpointed_iteration.txt"
    marker.parent.mkdir(parents=True)
    marker.write_text("2")
    (export,), _ = launch("run_sft.sh", "trainer.total_training_steps=2")
    assert export == f"--run {tmp_path}/run"


def test_a_resumed_run_keeps_its_log(launch, tmp_path):
    log = tmp_path / "run/train.log"
    log.parent.mkdir()
    log.write_text("before\n")
    launch("run_grpo.sh", "trainer.save_freq=1")
    assert log.read_text() == "before\n"
    with pytest.raises(subprocess.CalledProcessError):
        launch("run_grpo.sh", FAILS="later")
    assert log.read_text() == "before\nlater\n"


def test_star_by_its_defaults(launch, tmp_path):
    calls, environments = launch("star.sh", "--rounds", "2")
    one_round = ["evaluate", "filter", "format", "sft"]
    assert [call.split()[0] for call in calls] == [
        *one_round,
        *one_round,
        "evaluate",
        "compare",
        f"{tmp_path}/run",
    ]
    play, keep, form, _ = calls[:4]
    before, _, collect = play.partition(" --then ")
    assert f"--questions {tmp_path}/data/questions.val.parquet" in before and "after-0-rounds.json" in before
    for option in (
        "--sampling default",
        "--samples 4",
        "--limit 0",
        "--max-tokens 512",
        "--concurrency 64",
        "--seed 101",
    ):
        assert option in collect, option
    assert f"--pages {tmp_path}/data/pages" in collect and "--model-path org/m" in collect
    assert "--per-question 2" in keep and "--formats sft_trajectory" in form and "--split-from" not in form
    # The second round starts from the first one's model, on the same side of the split, with a seed of its own.
    assert f"--model-path {tmp_path}/run/round-1/sft/model" in calls[4] and "--seed 102" in calls[4]
    assert f"--split-from {tmp_path}/run/round-1/training_data" in calls[6]
    assert environments[7]["MODEL"] == "org/m", "every round trains the first model anew"
    assert f"--model-path {tmp_path}/run/round-2/sft/model" in calls[8] and "after-2-rounds.json" in calls[8]


def test_knobs_of_star(launch, tmp_path):
    knobs = {
        "SAMPLES": "7",
        "SAMPLING": "diverse",
        "LIMIT": "5",
        "EPISODE": "max_turns=2",
        "FIRST_EPISODE": "shots=3",
        "HINTS": "1",
        "FORMAT": "sft_query",
        "PER_QUESTION": "3",
        "ABOVE_MEAN": "1",
        "MAX_TOKENS": "33",
        "CONCURRENCY": "9",
        "VAL": "",
        "VLLM": "--tensor-parallel-size 8",
        "LORA_RANK": "16",
        "MASK": "none",
        "WEIGHT": "binary",
        "RANKS": "2",
        "SEED": "7",
    }
    calls, environments = launch("star.sh", "--rounds", "2", "--", "optim.lr=2e-5", **knobs)
    one_round = ["collect", "filter", "format", "sft"]
    assert [call.split()[0] for call in calls] == [*one_round * 2, f"{tmp_path}/run"]
    play, keep, form, train = calls[:4]
    collect, _, hinted = play.partition(" --then ")
    options = (
        "--samples 7",
        "--sampling diverse",
        "--limit 5",
        "--max-tokens 33",
        "--concurrency 9",
        "--seed 701",
    )
    for option in (*options, "--vllm-options '--tensor-parallel-size 8'", "--episode 'max_turns=2 shots=3'"):
        assert option in collect, option
    folder = f"{tmp_path}/run/round-1"
    assert f"--hint-failures {folder}/trajectories.jsonl --out {folder}/hinted.jsonl" in hinted
    assert "--samples" not in hinted
    both = f"--input {folder}/trajectories.jsonl --input {folder}/hinted.jsonl"
    assert both in keep and "--per-question 3" in keep and "--above-mean" in keep
    assert "--formats sft_query --episode 'shots=0 max_turns=2'" in form
    handed_on = environments[3]
    assert handed_on["TRAIN"] == f"{folder}/training_data/sft_query_train.parquet"
    assert handed_on["RUN"] == f"{folder}/sft" and handed_on["VAL"] == ""
    assert {name: handed_on[name] for name in ("MASK", "WEIGHT", "LORA_RANK", "RANKS")} == {
        name: knobs[name] for name in ("MASK", "WEIGHT", "LORA_RANK", "RANKS")
    }
    assert train == "sft trainer.seed=7 optim.lr=2e-5"
    assert f"--adapter adapter={folder}/sft/adapter --model adapter" in calls[4]
    assert "--model-path org/m" in calls[4] and "shots=3" not in calls[4]


def test_questions_that_star_measures_on_are_no_rows_to_validate_sft_on(launch, tmp_path):
    calls, environments = launch("star.sh", VAL=str(tmp_path / "data/questions.val.parquet"))
    (trained,) = [
        environment for call, environment in zip(calls, environments, strict=True) if call.startswith("sft")
    ]
    assert "VAL" not in trained


@pytest.mark.parametrize(
    ("script", "options", "knobs", "says"),
    [
        ("run_grpo.sh", [], {"VAL": "typo.parquet"}, "run_grpo: VAL=typo.parquet does not exist"),
        ("run_sft.sh", [], {"LORA_RANK": "x"}, "run_sft: LORA_RANK=x: give a whole number from 0"),
        ("run_dpo.sh", [], {"RANKS": "all"}, "run_dpo: RANKS=all: give a whole number from 1"),
        ("run_retriever.sh", [], {"PAGES": "typo"}, "run_retriever: PAGES=typo has no pages.parquet"),
        ("star.sh", ["--rounds", "x"], {}, "star: --rounds x: give a whole number from 1"),
        ("star.sh", ["--round", "1"], {}, "star: unknown option --round"),
        ("star.sh", [], {"SEED": "one"}, "star: SEED=one: give a whole number"),
        ("star.sh", [], {"VAL": "typo.parquet"}, "star: VAL=typo.parquet does not exist"),
        ("star.sh", [], {"DATA": "nowhere"}, "star: DATA=nowhere has no index"),
    ],
)
def test_a_wrong_knob_is_one_line(launch, script, options, knobs, says):
    with pytest.raises(subprocess.CalledProcessError) as error:
        launch(script, *options, **knobs)
    said = error.value.stderr.decode()
    assert error.value.returncode == 2 and says in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "trainer", "said", "code"),
    [
        (
            "run_sft.sh",
            "a traceback\n[rank0]: drag_rl.errors.InputError: 5 rows are few",
            "run_sft: 5 rows are few",
            2,
        ),
        ("run_grpo.sh", "out of memory", "run_grpo: the trainer has failed, see ", 1),
        ("run_dpo.sh", "dpo: no pairs\ntorchrun's report", "run_dpo: no pairs", 2),
        ("run_retriever.sh", "retriever: no page\ntorchrun's report", "run_retriever: no page", 2),
    ],
)
def test_why_a_trainer_failed_is_said_last(launch, script, trainer, said, code):
    with pytest.raises(subprocess.CalledProcessError) as error:
        launch(script, FAILS=trainer)
    assert error.value.stderr.decode().splitlines()[-1].startswith(said)
    assert error.value.returncode == code
