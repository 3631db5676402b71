"""What our training configurations may set, given to Hydra as structured configuration.

veRL's configuration is composed by Hydra from YAML files. Ours name ``drag_search_options`` or ``drag_sft_options``
among their defaults: these are made here from the settings classes and the tables of scores and guards. So an option or
a score is written down once, where it is used, and is set without ``+`` (``drag.episode.max_turns=2``).

These parts of the configuration are open to any name, for Hydra's own refusal would not list the choices;
:mod:`drag_rl.verl_plugin.check_options` refuses a wrong name or value before anything starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel

from drag_rl.config import Config
from drag_rl.errors import InputError
from drag_rl.sft_options import SFTOptions
from drag_rl.verl_plugin.settings import RolloutSettings, SamplerSettings
from reward.guards import GUARDS
from reward.table import SCORES, RewardConfig

SEARCH_OPTIONS: Mapping[str, type[Config]] = {
    "drag": RolloutSettings,
    "reward.custom_reward_function.reward_kwargs": RewardConfig,
    "trainer.v1.sampler.sampler_kwargs": SamplerSettings,
}
"""Part of the configuration of GRPO and PPO -> the settings class that reads it."""
SFT_OPTIONS: Mapping[str, type[Config]] = {"data.drag": SFTOptions}
"""Part of the configuration of supervised training -> the settings class that reads it."""


def search_options() -> DictConfig:
    """Every option of a search training with its default; ``???`` where there is none.

    Scores and guards that have no default are listed too: a weight of 0 and a threshold of null change nothing.
    """
    options = _open_nodes(SEARCH_OPTIONS)
    rewards, guards = options.reward.custom_reward_function.reward_kwargs, options.drag.guards
    rewards.weights = {name: rewards.weights.get(name, 0.0) for name in SCORES}
    for level in ("warn", "stop"):
        guards[level] = {name: guards[level].get(name) for name in GUARDS}
    return options


def sft_options() -> DictConfig:
    """Every option of the data set of supervised training with its default."""
    return _open_nodes(SFT_OPTIONS)


def register(config_store: ModuleType) -> None:
    """Add both to Hydra's store, under names that only our YAML files ask for."""
    store = config_store.ConfigStore.instance()
    store.store("drag_search_options", search_options(), package="_global_", provider="drag-rl")
    store.store("drag_sft_options", sft_options(), package="_global_", provider="drag-rl")


def check(config: DictConfig) -> None:
    """Raise InputError for the first of our options that is missing, unknown or wrong in a composed configuration."""
    for where, settings in {**SEARCH_OPTIONS, **SFT_OPTIONS}.items():
        try:
            options = OmegaConf.select(config, where)
            if options is not None:
                settings.from_mapping(options, where)
        except OmegaConfBaseException as error:
            # An option without a value, or an interpolation of what is not there.
            raise InputError(f"{where}: {str(error).splitlines()[0]}") from None


def _open_nodes(parts: Mapping[str, type[Config]]) -> DictConfig:
    """The defaults of each part at its place, open to names that Hydra does not know."""
    options = OmegaConf.create()
    for where, settings in parts.items():
        OmegaConf.update(options, where, _defaults(settings))
        OmegaConf.set_struct(OmegaConf.select(options, where), False)
    return options


def _defaults(settings: type[Config]) -> dict[str, Any]:
    defaults = {
        name: "???" if field.is_required() else field.get_default(call_default_factory=True)
        for name, field in settings.model_fields.items()
    }
    return {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for name, value in defaults.items()
    }
