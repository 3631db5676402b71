"""Beside stock verl the plugin changes nothing; in a run of ours it acts, in every process and however late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from compose_lab import composed
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[2]

LOOK = """
import json
import verl
import wrapt
from importlib import import_module
from drag_rl import verl_plugin
from transformers import AutoModelForTokenClassification, Qwen2VLConfig, Qwen2_5_VLConfig, Qwen3VLConfig
from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

VLLM = "verl.workers.rollout.vllm_rollout.bucketed_weight_transfer"  # imports vLLM, which takes long
MODULES = [*(verl_plugin.patches.PATCHES.keys() - {VLLM}), "verl.workers.engine.base"]

def changed(holder, where):
    for name, value in vars(holder).items():
        if isinstance(value, wrapt.FunctionWrapper):
            yield f"{where}.{name}"
        elif isinstance(value, type) and value.__module__ == where:
            yield from changed(value, f"{where}.{name}")

def look():
    try:
        import_module("verl.utils.model").load_valuehead_model("/nowhere", None, None, False)
    except BaseException:
        pass  # there is no model, but a critic was asked for
    classes = AutoModelForTokenClassification._model_mapping.keys()
    return {
        "wrapped": [name for module in MODULES for name in changed(import_module(module), module)],
        "models": [config.__name__ for config in (Qwen2VLConfig, Qwen2_5_VLConfig, Qwen3VLConfig) if config in classes],
        "loop": _agent_loop_registry["drag_search"]["_target_"],
    }

found = [look()]
verl_plugin.activate()
print(json.dumps([*found, look()]))
"""
"""A process that uses verl, and then turns out to belong to a run of ours."""

PATCHED = {
    "verl.utils.model.load_valuehead_model",
    "verl.utils.checkpoint.checkpoint_handler.CheckpointHandler._load_dataloader_state",
    "verl.utils.tensordict_utils.maybe_fix_3d_position_ids",
    "verl.models.transformers.qwen2_vl._get_input_embeds",
    "verl.workers.engine.base.maybe_fix_3d_position_ids",
}
LOOP = "drag_rl.verl_plugin.agent_loop.DragSearchLoop"


@pytest.mark.slow  # an interpreter imports verl
def test_nothing_of_verl_is_changed_before_the_plugin_is_activated_and_all_after():
    result = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**os.environ, "DRAG_PLUGIN": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    before, after = json.loads(result.stdout.splitlines()[-1])
    assert before == {"wrapped": [], "models": [], "loop": LOOP}
    assert set(after["wrapped"]) >= PATCHED
    assert after["models"] == ["Qwen2VLConfig", "Qwen2_5_VLConfig", "Qwen3VLConfig"]


def test_another_version_of_verl_is_left_alone(monkeypatch):
    from types import ModuleType

    from drag_rl.verl_plugin import patches

    called = []
    monkeypatch.setattr(patches, "VERL_VERSION", "0.0.0")
    patches.guarded(called.append)(ModuleType("verl.anything"))
    assert called == []


@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_every_ray_worker_of_our_runs_is_told(name):
    """As verl's ``run_ppo`` makes the environment of the workers."""
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

    given = ["hardware=cpu", "drag.index=i", "data.train_files=t", "data.val_files=v"]
    config = composed(name, [*given, "trainer.default_local_dir=c"])
    merged = OmegaConf.merge(get_ppo_ray_runtime_env(config), config.ray_kwargs.ray_init.runtime_env)
    assert merged.env_vars.DRAG_PLUGIN == "1"
