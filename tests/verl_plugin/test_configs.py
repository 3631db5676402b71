"""Every training configuration composes with verl's own, for every hardware group, and says what it must."""

from __future__ import annotations

from functools import cache
from inspect import getsource
from pathlib import Path

import pytest
from compose_lab import CONFIGS, composed
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.verl_plugin.replay_buffer import SamplerSettings
from drag_rl.verl_plugin.settings import FOR_THE_BUFFER, RolloutSettings, rollout_settings
from drag_rl.verl_plugin.shaping import ShapingConfig
from reward.guards import GUARDS, GuardConfig
from reward.table import SCORES, RewardConfig

HARDWARE = sorted(path.stem for path in (CONFIGS / "hardware").glob("*.yaml"))
GIVEN = ["drag.index=/i", "data.train_files=/t", "data.val_files=/v", "trainer.default_local_dir=/c"]


@cache
def configured(name, hardware, *overrides):
    return composed(name, [f"hardware={hardware}", *GIVEN, *overrides])


@pytest.mark.parametrize("hardware", HARDWARE)
@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_composes_and_our_groups_are_valid(name, hardware):
    config = configured(name, hardware)
    OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    settings = rollout_settings(config)
    assert settings.turn_tokens + 1 < config.data.max_response_length
    assert settings.episode.max_turns > 1
    reward = RewardConfig.from_mapping(config.reward.custom_reward_function.reward_kwargs, "reward_kwargs")
    assert list(reward.weights) == list(SCORES), "every score can be set by its name"
    weighted = {name: weight for name, weight in reward.weights.items() if weight}
    assert weighted == RewardConfig().weights, "the default of the code is that of the configuration"
    sampler = SamplerSettings.from_mapping(config.trainer.v1.sampler.sampler_kwargs, "sampler_kwargs")
    assert sampler.train_batch_size == config.data.train_batch_size
    assert config.algorithm.adv_estimator == {"grpo": "grpo", "ppo": "gae"}[name]
    assert config.critic.enable is (name == "ppo")


@pytest.mark.parametrize("hardware", HARDWARE)
def test_the_critics_batches_are_as_long_as_its_option_says(hardware):
    """verl reads another name than it documents; without ours the critic trains on 32,768 tokens at once."""
    from verl.trainer.ppo.v1 import trainer_base
    from verl.workers.config import CriticConfig

    assert (
        "critic_cfg.engine.max_token_len_per_gpu = critic_cfg.ppo_infer_max_token_len_per_gpu"
        in getsource(trainer_base)
    ), "verl has mended it: take the option out of ppo.yaml"
    config = configured("ppo", hardware, "critic.ppo_max_token_len_per_gpu=640")
    assert config.critic.ppo_infer_max_token_len_per_gpu == 640
    assert "ppo_infer_max_token_len_per_gpu" in CriticConfig.__dataclass_fields__


def test_hardware_is_what_its_name_says():
    assert [configured("grpo", name).trainer.n_gpus_per_node for name in ("cpu", "gpu_1", "gpu_8")] == [
        1,
        1,
        8,
    ]
    assert configured("grpo", "cpu").trainer.device == "cpu"


def test_the_yaml_names_every_rollout_setting():
    """A reader of search.yaml sees all there is to set, and its defaults are the code's."""
    config = OmegaConf.to_container(OmegaConf.load(CONFIGS / "search.yaml").drag)
    assert set(config) == {*RolloutSettings.model_fields, *FOR_THE_BUFFER}
    assert set(config["episode"]) == set(EpisodeConfig.model_fields)
    assert rollout_settings({"drag": {**config, "index": "/i"}}) == RolloutSettings(index=Path("/i"))
    assert ShapingConfig.from_mapping(config["shaping"], "drag.shaping") == ShapingConfig()
    guards = GuardConfig.from_mapping(config["guards"], "drag.guards")
    assert list(guards.warn) == list(guards.stop) == list(GUARDS), "every guard can be set by its name"
    assert {name: value for name, value in guards.warn.items() if value is not None} == GuardConfig().warn
    assert not any(guards.stop.values())
    assert guards.from_step == GuardConfig().from_step


@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_credit_by_turn_is_unbiased_as_the_configurations_stand(name):
    """What reward/turn_credit.py asks of them."""
    config = configured(name, "cpu")
    assert config.actor_rollout_ref.actor.loss_agg_mode == "token-mean"
    assert config.algorithm.gamma == config.algorithm.lam == 1


def test_unknown_keys_are_refused():
    with pytest.raises(ConfigCompositionException, match="top_n"):
        configured("grpo", "cpu", "drag.top_n=3")
    with pytest.raises(InputError, match="drag: unknown option 'top_n'"):
        rollout_settings({"drag": {"index": "/i", "top_n": 3}})
    with pytest.raises(InputError, match="no 'drag' group"):
        rollout_settings({})


@pytest.mark.parametrize("hardware", sorted(path.stem for path in (CONFIGS / "sft_hardware").glob("*.yaml")))
def test_the_sft_configuration_composes(hardware):
    from drag_rl.training.sft_dataset import SFTOptions

    config = composed("sft", [f"sft_hardware={hardware}", "data.train_files=/t"])
    assert SFTOptions.from_mapping(config.data.drag, "data.drag") == SFTOptions()
    assert config.trainer.device == ("cpu" if hardware == "cpu" else "cuda")


def test_the_dpo_configuration_is_one_of_trl():
    from dataclasses import fields

    from trl import DPOConfig

    config = OmegaConf.to_container(OmegaConf.load(CONFIGS / "dpo.yaml"))
    assert set(config) - {"lora"} <= {field.name for field in fields(DPOConfig)}
