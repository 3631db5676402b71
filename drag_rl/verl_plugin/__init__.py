"""The plugin that ``import verl`` loads in every process, Ray workers included (entry point ``verl.plugins``).

It is inert: it adds the name of our agent loop to verl's registry, and those of our options to Hydra's store
(:mod:`drag_rl.verl_plugin.options`), for configurations that ask for them. All else
(:mod:`drag_rl.verl_plugin.patches`) changes verl's own functions, so it is left alone unless the run is one of ours:
``DRAG_PLUGIN=1`` stands in the environment. ``configs/search.yaml`` gives it to all Ray workers of a run, and
``scripts/run_sft.sh`` to SFT; our SFT data set calls :func:`activate` where somebody starts verl by hand.
"""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType

import wrapt

import drag_rl.cpu
from drag_rl.verl_plugin import patches

AGENT_LOOP = "drag_search"
"""The agent loop's name in ``rollout.agent.default_agent_loop`` and in the ``agent_name`` column."""
ACTIVE_ENV = "DRAG_PLUGIN"
"""The environment variable that is ``1`` in the processes of our runs."""


@cache
def activate() -> None:
    """Apply what our runs need, to modules of verl that are imported already and to those that will be."""
    patches.apply()


def _register_agent_loop(module: ModuleType) -> None:
    # By name, as verl's decorator does, so that only the worker that runs a rollout imports the class.
    module._agent_loop_registry[AGENT_LOOP] = {"_target_": "drag_rl.verl_plugin.agent_loop.DragSearchLoop"}


if drag_rl.cpu.chosen():
    drag_rl.cpu.activate()
wrapt.register_post_import_hook(
    patches.guarded(_register_agent_loop), "verl.experimental.agent_loop.agent_loop"
)
wrapt.register_post_import_hook("drag_rl.verl_plugin.options:register", "hydra.core.config_store")
if os.environ.get(ACTIVE_ENV) == "1":
    activate()
