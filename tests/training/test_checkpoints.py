"""A kill at any moment leaves a checkpoint to resume from, and never half a result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from drag_rl.errors import InputError
from drag_rl.training.export import export_run

ROOT = Path(__file__).resolve().parents[2]
KEPT = {"sft": ["max_ckpt_to_keep"], "search": ["max_actor_ckpt_to_keep", "max_critic_ckpt_to_keep"]}


@pytest.mark.parametrize(("config", "key"), [(config, key) for config, keys in KEPT.items() for key in keys])
def test_verl_keeps_what_its_tracker_names_until_the_next_one_is_named(tmp_path, config, key):
    """verl removes old checkpoints before it names the new one; with 1 to keep, a kill between the two loses all."""
    from verl.utils.checkpoint.checkpoint_manager import BaseCheckpointManager

    keep = OmegaConf.load(ROOT / "configs" / f"{config}.yaml").trainer[key]
    manager = BaseCheckpointManager.__new__(BaseCheckpointManager)
    manager.previous_saved_paths, tracked = [], None
    for step in range(1, 6):
        path = tmp_path / f"global_step_{step}"
        manager.ensure_checkpoint_capacity(keep)
        assert tracked is None or tracked.is_dir()
        path.mkdir()
        manager.register_checkpoint(str(path), keep)
        assert tracked is None or tracked.is_dir()
        tracked = path
    assert len(list(tmp_path.iterdir())) == keep


def fake_module(folder, module, text):
    """A module of a library, in a folder for PYTHONPATH."""
    path = folder / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for package in list(path.relative_to(folder).parents)[:-1]:
        (folder / package / "__init__.py").touch()


MERGER = """
import os, pathlib, sys
target = pathlib.Path(sys.argv[sys.argv.index("--target_dir") + 1])
target.mkdir()
(target / "model.safetensors").write_text(os.environ["WEIGHTS"])
sys.exit(os.environ["WEIGHTS"] == "half")
"""


def test_an_export_is_whole_or_not_there(tmp_path, monkeypatch):
    """verl's merger is a stand-in, which may end when it has written half."""
    run, base = tmp_path / "run", tmp_path / "base"
    (run / "checkpoints" / "global_step_7").mkdir(parents=True)
    (run / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("7")
    (run / "hydra" / ".hydra").mkdir(parents=True)
    config = {"model": {"path": str(base), "lora_alpha": 32}}
    (run / "hydra" / ".hydra" / "config.yaml").write_text(json.dumps(config))
    base.mkdir()
    (base / "tokenizer.json").write_text("{}")
    fake_module(tmp_path / "fake", "verl/model_merger.py", MERGER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    monkeypatch.setenv("WEIGHTS", "half")
    with pytest.raises(InputError, match="merger failed"):
        export_run(run)
    assert not (run / "model").exists()
    for weights in ("old", "new"):
        monkeypatch.setenv("WEIGHTS", weights)
        assert export_run(run) == run / "model"
        assert (run / "model" / "model.safetensors").read_text() == weights
        assert (run / "model" / "tokenizer.json").is_file()
    monkeypatch.setenv("WEIGHTS", "half")
    with pytest.raises(InputError):
        export_run(run)
    assert (run / "model" / "model.safetensors").read_text() == "new"
