"""A score, a guard and a distance of an installed package are set, used and refused like ours, in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
from reward.guards import Guard

def always(outcome, variant):
    return 1.0

groups = Guard(lambda rollouts: float(len({rollout.uid for rollout in rollouts})), bad="above")

def near(config):
    return lambda outcomes: [[0.0] * len(outcomes)] * len(outcomes)
"""
POINTS = """
[drag_rl.scores]
always = their_parts:always
[drag_rl.guards]
groups = their_parts:groups
[drag_rl.distances]
near = their_parts:near
"""
LOOK = """
import json
from omegaconf import OmegaConf
from drag_rl.errors import InputError
from drag_rl.verl_plugin.options import check, search_options
from reward.group import DISTANCES
from reward.guards import GUARDS
from reward.table import SCORES

config = search_options()
config.drag.index = "i"
config.trainer.v1.sampler.sampler_kwargs.train_batch_size = 1
config.drag.shaping.group.distance = "near"
config.reward.custom_reward_function.reward_kwargs.weights.always = 2
check(config)
config.reward.custom_reward_function.reward_kwargs.weights.never = 1
try:
    check(config)
except InputError as error:
    said = str(error)
print(json.dumps([
    SCORES["always"](None, "best"),
    GUARDS["groups"].bad,
    len(DISTANCES["near"](None)([1, 2])),
    OmegaConf.to_container(config.drag.guards.stop)["groups"],
    said,
]))
"""


def test_parts_of_an_installed_package_are_options_like_ours(tmp_path):
    info = tmp_path / "their_parts-1.0.dist-info"
    info.mkdir()
    (tmp_path / "their_parts.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    looked = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "VERL_PLATFORM": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert looked.returncode == 0, looked.stderr
    score, bad, rows, threshold, said = json.loads(looked.stdout)
    assert (score, bad, rows, threshold) == (1.0, "above", 2, None)
    assert said.startswith("reward.custom_reward_function.reward_kwargs: ")
    assert ", query_length, always; or hit or " in said
