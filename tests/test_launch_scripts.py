"""Every knob of the launch scripts does what its header says: the programs that they start are stand-ins that tell."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from launch_lab import stand_ins, told

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    "torch/distributed/run.py": "if 'FAILS' in os.environ: sys.exit(os.environ['FAILS'])",
    "verl/trainer/sft_trainer_ray.py": "",
    "drag_rl/cli/main.py": """
if sys.argv[1] == "format":
    folder = pathlib.Path(sys.argv[sys.argv.index("--output-dir") + 1])
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        shutil.copy(os.environ["ROWS"], folder / f"{os.environ['FORMAT']}_{split}.parquet")
""",
    "drag_rl/evaluation/rounds.py": "",
    "drag_rl/training/export.py": """
kind = "adapter" if os.environ["LORA_RANK"] != "0" else "model"
(pathlib.Path(sys.argv[2]) / kind).mkdir()
""",
}


@pytest.fixture
def launch(tmp_path):
    """Run a script with knobs; returns what it started, as command lines, and the environment of the last."""
    fake = stand_ins(tmp_path / "fake", MODULES)
    data = tmp_path / "data"
    (data / "index").mkdir(parents=True)
    (data / "pages").mkdir()
    for name in ("questions.train", "questions.val", "rows_train", "rows_val"):
        pq.write_table(pa.table({"row": [1]}), data / f"{name}.parquet")

    def run(script, *options, **knobs):
        environment = {
            **os.environ,
            **fake,
            "HARDWARE": "cpu",
            "MODEL": "org/m",
            "DATA": str(data),
            "TRAIN": str(data / "rows_train.parquet"),
            "ROWS": str(data / "rows_train.parquet"),
            "RUN": str(tmp_path / "run"),
            "FORMAT": "sft_trajectory",
            "LORA_RANK": "0",
            **knobs,
        }
        command = ["bash", str(ROOT / "scripts" / script), *options]
        subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=100)
        calls = told(fake)
        return [shlex.join(words[1:]) for words, _ in calls], calls[-1][1]

    return run


def test_knobs_of_sft(launch, tmp_path):
    (plain, _), environment = launch("run_sft.sh")
    assert "model.path=org/m" in plain and "data.drag.mask_strategy=assistant" in plain
    assert "data.drag.weight_scheme=rank-score" in plain and "lora" not in plain and "wandb" not in plain
    assert f"data.val_files={tmp_path}/data/rows_val.parquet" in plain and "sft_hardware=cpu" in plain
    assert "--nproc_per_node=1 -m verl.trainer.sft_trainer " in plain
    assert environment["VERL_PLATFORM"] == "cpu"
    (train, _), _ = launch(
        "run_sft.sh", "optim.lr=1", MASK="search-only", WEIGHT="binary", LORA_RANK="8", RANKS="2"
    )
    assert "data.drag.mask_strategy=search-only" in train and "data.drag.weight_scheme=binary" in train
    assert "model.lora_rank=8 model.lora_alpha=16 optim.lr=2e-4" in train and train.endswith("optim.lr=1")
    assert "exclude_modules=" in train and "--nproc_per_node=2" in train
    (train, _), environment = launch("run_sft.sh", LAUNCHER="ray", RANKS="2", WANDB="1", VAL="", RUN="other")
    assert "--config-name sft" in train and "wandb" in train and "trainer.test_freq=-1" in train
    assert json.loads(environment["RAY_OVERRIDE_RESOURCES"])["GPU"] == 2
    assert f"trainer.default_local_dir={tmp_path}/other/checkpoints" in train


def test_knobs_of_dpo(launch, tmp_path):
    (train,), _ = launch("run_dpo.sh", "beta=0.2", RANKS="3")
    assert "--nproc_per_node=3" in train and train.endswith("beta=0.2")
    assert f"--model org/m --train {tmp_path}/data/rows_train.parquet --out {tmp_path}/run" in train
    assert f"--val {tmp_path}/data/rows_val.parquet" in train
    (train,), _ = launch("run_dpo.sh", VAL="")
    assert "--val" not in train and "--nproc_per_node=1" in train


def test_star_by_its_defaults(launch, tmp_path):
    calls, _ = launch("star.sh", "--rounds", "2")
    commands = [call.split()[0] for call in calls]
    one_round = ["evaluate", "collect", "filter", "format", "--standalone", "--run"]
    assert commands == [*one_round, *one_round, "evaluate", "compare", f"{tmp_path}/run"]
    before, collect, keep, form = calls[:4]
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
    assert f"--model-path {tmp_path}/run/round-1/sft/model" in calls[7] and "--seed 102" in calls[7]
    assert f"--split-from {tmp_path}/run/round-1/training_data" in calls[9]
    assert "model.path=org/m" in calls[10], "every round trains the first model anew"
    assert (
        f"--model-path {tmp_path}/run/round-2/sft/model" in calls[12] and "after-2-rounds.json" in calls[12]
    )


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
    calls, _ = launch("star.sh", "--rounds", "2", "--", "optim.lr=2e-5", **knobs)
    one_round = ["collect", "collect", "filter", "format", "--standalone", "--run"]
    assert [call.split()[0] for call in calls] == [*one_round * 2, f"{tmp_path}/run"]
    collect, hinted, keep, form, train, _ = calls[:6]
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
    assert (
        f"--input {folder}/trajectories.jsonl --input {folder}/hinted.jsonl" in keep
        and "--per-question 3" in keep
    )
    assert "--formats sft_query --episode 'shots=0 max_turns=2'" in form
    assert f"data.train_files={folder}/training_data/sft_query_train.parquet" in train
    assert "mask_strategy=none" in train and "weight_scheme=binary" in train and "lora_rank=16" in train
    assert "--nproc_per_node=2" in train and train.endswith("trainer.seed=7 optim.lr=2e-5")
    assert f"--adapter adapter={folder}/sft/adapter --model adapter" in calls[6]
    assert "--model-path org/m" in calls[6] and "shots=3" not in calls[6]


@pytest.mark.parametrize(
    ("script", "options", "knobs", "says"),
    [
        ("run_sft.sh", [], {"TRAIN": "no_train.parquet"}, "run_sft: TRAIN=no_train.parquet does not exist"),
        ("run_sft.sh", [], {"LAUNCHER": "slurm"}, "LAUNCHER=slurm: use torchrun or ray"),
        ("run_sft.sh", [], {"HARDWARE": "tpu"}, "HARDWARE=tpu: use cpu, gpu_1 or gpu_8"),
        ("run_dpo.sh", [], {"TRAIN": "no_train.parquet"}, "run_dpo: TRAIN=no_train.parquet does not exist"),
        ("star.sh", ["--rounds", "x"], {}, "star: --rounds x: give a whole number from 1"),
        ("star.sh", ["--round", "1"], {}, "star: unknown option --round"),
        ("star.sh", [], {"SEED": "one"}, "star: SEED=one: give a whole number"),
        ("star.sh", [], {"DATA": "nowhere"}, "star: DATA=nowhere has no index"),
    ],
)
def test_a_wrong_knob_is_one_line(launch, script, options, knobs, says):
    with pytest.raises(subprocess.CalledProcessError) as error:
        launch(script, *options, **knobs)
    said = error.value.stderr.decode()
    assert error.value.returncode == 2 and says in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "trainer", "said"),
    [
        (
            "run_sft.sh",
            "a traceback\n[rank0]: drag_rl.errors.InputError: 5 rows are few",
            "run_sft: 5 rows are few",
        ),
        ("run_sft.sh", "out of memory", "run_sft: the trainer has failed, see "),
        ("run_dpo.sh", "dpo: no pairs\ntorchrun's report", "run_dpo: no pairs"),
        ("star.sh", "drag_rl.errors.InputError: 5 rows are few", "run_sft: 5 rows are few"),
    ],
)
def test_why_a_trainer_failed_is_said_last(launch, script, trainer, said):
    with pytest.raises(subprocess.CalledProcessError) as error:
        launch(script, FAILS=trainer)
    assert error.value.stderr.decode().splitlines()[-1].startswith(said)
    assert error.value.returncode == 2
