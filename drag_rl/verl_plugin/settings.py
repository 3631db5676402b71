"""The settings of our training configurations: the ``drag`` group, and the replay buffer's arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from drag_rl.config import Config
from drag_rl.errors import InputError
from drag_rl.protocol import MAX_PIXELS, MESSAGE_TIMEOUT_S, MESSAGE_TOKENS, EpisodeConfig
from drag_rl.verl_plugin.shaping import ShapingConfig
from reward.guards import GuardConfig


class RolloutSettings(Config):
    """The ``drag`` group: what a search training needs beside verl's own options; an unknown key is refused."""

    index: Path
    """Folder of the index (``drag index``), of any kind."""
    pages: Path | None = None
    """Folder of the pages (``drag ingest``); needed when observations hold page images."""
    image_cache: Path | None = None
    """Folder for rendered page images; null chooses the one of ``pages``."""
    max_pixels: int = Field(default=MAX_PIXELS, ge=1024)
    """The most pixels of a page image."""
    episode: EpisodeConfig = EpisodeConfig()
    """What an episode may do."""
    turn_tokens: int = Field(default=MESSAGE_TOKENS, ge=1)
    """The most tokens of one assistant message."""
    observation_tokens: int = Field(default=4096, ge=1)
    """The most tokens of one observation; a longer one is shortened before it is shown."""
    turn_timeout_s: float = Field(default=MESSAGE_TIMEOUT_S, gt=0)
    """A message that takes longer than this ends the run with an error: the engine hangs."""
    shaping: ShapingConfig = ShapingConfig()
    """How the rewards of a finished batch change before the trainer sees them."""
    guards: GuardConfig = GuardConfig()
    """Thresholds of what training does to the policy, beyond which a step warns or ends the run."""


class SamplerSettings(Config):
    """``trainer.v1.sampler.sampler_kwargs``: what the replay buffer is told."""

    poll_interval_s: float = 1.0
    """Seconds between two looks at the queue."""
    stall_timeout_s: float = 3600.0
    """Seconds without any change in the queue after which the run stops."""
    rollout_data_dir: Path | None = None
    """Folder where training batches are written; null writes none."""
    validation_data_dir: Path | None = None
    """Folder where validation batches are written; null writes none."""
    state_dir: Path | None = None
    """Folder for what a resumed run must know, such as the means that a schedule watches; null keeps it in memory."""
    dump_tokens: bool = False
    """Whether each row also has its response token ids, mask and sampled log-probabilities."""
    train_batch_size: int
    """Questions of a training step."""
    filter_groups: dict[str, Any] = Field(default={})
    """veRL's ``algorithm.filter_groups``, which a custom replay buffer has to apply itself."""
    shaping: ShapingConfig = ShapingConfig()
    """How rewards change by turn and by group (``drag.shaping``)."""
    guards: GuardConfig = GuardConfig()
    """When to warn and when to stop (``drag.guards``)."""


def rollout_settings(config: Any) -> RolloutSettings:
    """The settings of a training configuration.

    Args:
        config: verl's whole configuration, a mapping with a ``drag`` group.

    Raises:
        InputError: The group is missing, or a key or value in it is wrong.
    """
    if config.get("drag") is None:
        raise InputError(
            "the configuration has no 'drag' group: start from configs/grpo.yaml or configs/ppo.yaml"
        )
    return RolloutSettings.from_mapping(config["drag"], "drag")
