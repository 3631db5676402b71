"""A CPU without bfloat16 instructions trains in float32, seven times as fast; others and GPUs keep bfloat16."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compose_lab import composed

from drag_rl.models.reader.folder import WORDS
from drag_rl.training.launch import plans


@pytest.fixture
def knobs(tmp_path):
    for part in ("data/index", "model"):
        (tmp_path / part).mkdir(parents=True)
    for rows in ("data/questions.train", "data/questions.val", "rows_train"):
        pq.write_table(pa.table({"row": [1]}), tmp_path / f"{rows}.parquet")
    named = {"MODEL": "model", "DATA": "data", "TRAIN": "rows_train.parquet", "RUN": "run"}
    return {name: str(tmp_path / path) for name, path in named.items()}


def precision(algorithm, launch):
    """What each part computes in, as Hydra composes the command line."""
    words = [word for word in launch.command if "=" in word and not word.startswith(("--", "hydra."))]
    config = composed(algorithm, words)
    if algorithm == "sft":
        return {config.engine.mixed_precision.param_dtype}
    parts = (config.actor_rollout_ref.actor.fsdp_config, config.actor_rollout_ref.ref.fsdp_config)
    engines = [*parts, config.critic.fsdp]
    return {config.actor_rollout_ref.rollout.dtype} | {one.mixed_precision.param_dtype for one in engines}


@pytest.mark.parametrize("algorithm", ["grpo", "ppo", "sft"])
@pytest.mark.parametrize(
    ("fast", "expected"), [("float32", {"float32", "fp32"}), ("bfloat16", {"bfloat16", "bf16"})]
)
def test_every_part_computes_in_what_the_cpu_is_fast_in(knobs, monkeypatch, algorithm, fast, expected):
    monkeypatch.setattr(plans, "fast_dtype", lambda: fast)
    environment = knobs | {"HARDWARE": "cpu"}
    launch = (
        plans.sft_launch(environment, [])
        if algorithm == "sft"
        else plans.rl_launch(algorithm, environment, [])
    )
    assert precision(algorithm, launch) <= expected
    own = ["engine.mixed_precision.param_dtype=bf16"]
    if algorithm == "sft":
        assert precision("sft", plans.sft_launch(environment, own)) == {"bf16"}, (
            "an option of the user's wins"
        )


def test_a_gpu_is_told_nothing(knobs, monkeypatch):
    monkeypatch.setattr(plans, "fast_dtype", lambda: "float32")
    launch = plans.rl_launch("grpo", knobs | {"HARDWARE": "gpu_1"}, [])
    assert not [word for word in launch.command if "dtype" in word]


def test_a_reader_computes_in_what_the_cpu_is_fast_in(knobs, monkeypatch, tmp_path):
    for file in ("pages.parquet", f"model/{WORDS}"):
        (tmp_path / file).touch()
    for fast, hardware, told in (
        ("float32", "cpu", ["bf16=false"]),
        ("bfloat16", "cpu", []),
        ("float32", "gpu_1", []),
    ):
        monkeypatch.setattr(plans, "fast_dtype", lambda fast=fast: fast)
        launch = plans.retriever_launch(knobs | {"PAGES": str(tmp_path), "HARDWARE": hardware}, ["bf16=true"])
        words = [word for word in launch.command if word.startswith("bf16=")]
        assert words == [*told, "bf16=true"], "an option of the user's comes last, and wins"
