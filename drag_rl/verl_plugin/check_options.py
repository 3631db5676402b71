"""Refuses a wrong option as soon as Hydra has composed a configuration of ours, before a model is loaded.

Apart from :mod:`drag_rl.verl_plugin.options`, which is imported while Hydra itself is, so cannot use it.
"""

from __future__ import annotations

import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from drag_rl.errors import InputError
from drag_rl.verl_plugin.options import check
from drag_rl.verl_plugin.patches import sync_timeout_s

EXIT_BAD_INPUT = 2


class CheckOptions(Callback):  # type: ignore[misc]
    """``hydra.callbacks`` of our YAML files."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """End the program with one line if an option, or a setting in the environment, is wrong."""
        try:
            check(config)
            sync_timeout_s()
        except InputError as error:
            sys.stderr.write(f"drag-rl: {error}\n")
            sys.exit(EXIT_BAD_INPUT)  # Hydra turns any other exception of a callback into a warning
