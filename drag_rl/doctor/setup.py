"""The set-up that is examined: its parts, and the settings that a training would read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.training.launch.plans import CONFIGS
from reward.table import RewardConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

_ESCAPED = re.compile(r"\[([*?[])\]")
"""A letter with a meaning to glob, as ``glob.escape`` writes it."""
REWARD = "reward.custom_reward_function.reward_kwargs"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What a training is about to use; a part that is None is not examined."""

    index: Path | None = None
    """Folder of the index."""
    pages: Path | None = None
    """Folder of the pages that the index was made from."""
    questions: tuple[Path, ...] = ()
    """Files of questions, or folders of them; the first file is the training's."""
    model: str | None = None
    """Folder or hub id of the model to train."""
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)


def of_training(config: str, overrides: Sequence[str]) -> SetUp:
    """The set-up of a training: its configuration, composed as its trainer does.

    Args:
        config: The name of a file in ``configs``, or the path of a YAML file of one's own, such as a run's
            ``.hydra/config.yaml``.
        overrides: As on the trainer's command line, ``KEY=VALUE``.

    Raises:
        InputError: The configuration cannot be composed, or an option of ours is missing, unknown or wrong.
    """
    import drag_rl.verl_plugin  # noqa: F401 (gives Hydra our options, so it comes first)

    path = Path(config) if config.endswith((".yaml", ".yml")) else CONFIGS / f"{config}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
        raise InputError(f"--config {config}: there is no {path}; give a YAML file, or one of {known}")
    try:
        from hydra import compose, initialize_config_dir
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException
    except ImportError as error:
        raise InputError(f"--config {config}: needs veRL ({error}): bash scripts/setup.sh") from error
    try:
        with initialize_config_dir(str(path.parent.resolve()), version_base=None):
            composed = compose(path.stem, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        said = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"--config {config}: cannot be composed: {said}") from None
    return set_up_of(composed)


def set_up_of(config: DictConfig) -> SetUp:
    """The set-up that a composed configuration describes. Raises ``InputError`` for a missing or wrong option."""
    from omegaconf import OmegaConf

    from drag_rl.verl_plugin.options import check
    from drag_rl.verl_plugin.settings import rollout_settings

    check(config)
    settings = rollout_settings(config)
    return SetUp(
        index=settings.index,
        pages=settings.pages,
        questions=_first_file(config),
        model=OmegaConf.select(config, "actor_rollout_ref.model.path", throw_on_missing=False),
        episode=settings.episode,
        reward=RewardConfig.from_mapping(OmegaConf.select(config, REWARD), REWARD),
    )


def _first_file(config: DictConfig) -> tuple[Path, ...]:
    """The first file of training questions; veRL takes a name for a pattern, so special letters in it are escaped."""
    from omegaconf import OmegaConf

    files = OmegaConf.select(config, "data.train_files", throw_on_missing=False)
    if not files:
        return ()
    first = files if isinstance(files, str) else str(files[0])
    return (Path(_ESCAPED.sub(r"\1", first)),)
