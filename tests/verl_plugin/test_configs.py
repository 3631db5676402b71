"""Every training configuration composes with verl's own, for every hardware group, and says what it must."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from inspect import getsource
from pathlib import Path

import compose_lab
import pytest
import yaml
from hydra.errors import ConfigCompositionException, OverrideParseException
from omegaconf import OmegaConf

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.training.launch.trainer import _MISTAKE
from drag_rl.verl_plugin.check_options import CheckOptions
from drag_rl.verl_plugin.options import SEARCH_OPTIONS, check
from drag_rl.verl_plugin.settings import RolloutSettings, SamplerSettings, rollout_settings
from reward.guards import GUARDS, GuardConfig
from reward.table import SCORES, RewardConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
HARDWARE = sorted(path.stem for path in (CONFIGS / "hardware").glob("*.yaml"))
GIVEN = ["drag.index=/i", "data.train_files=/t", "data.val_files=/v", "trainer.default_local_dir=/c"]


@cache
def composed(name, hardware, *overrides):
    return compose_lab.composed(name, [f"hardware={hardware}", *GIVEN, *overrides])


@pytest.mark.parametrize("hardware", HARDWARE)
@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_composes_and_our_groups_are_valid(name, hardware):
    config = composed(name, hardware)
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
    config = composed("ppo", hardware, "critic.ppo_max_token_len_per_gpu=640")
    assert config.critic.ppo_infer_max_token_len_per_gpu == 640
    assert "ppo_infer_max_token_len_per_gpu" in CriticConfig.__dataclass_fields__


def test_hardware_is_what_its_name_says():
    assert [composed("grpo", name).trainer.n_gpus_per_node for name in ("cpu", "gpu_1", "gpu_8")] == [1, 1, 8]
    assert composed("grpo", "cpu").trainer.device == "cpu"


def test_every_option_is_there_to_be_set_and_its_default_is_the_codes():
    config = composed("grpo", "gpu_8")
    for where, settings in SEARCH_OPTIONS.items():
        assert set(OmegaConf.select(config, where)) == set(settings.model_fields), where
    assert rollout_settings(config).episode == EpisodeConfig()
    assert rollout_settings(config).shaping == RolloutSettings(index="/i").shaping
    guards = rollout_settings(config).guards
    assert list(guards.warn) == list(guards.stop) == list(GUARDS), "every guard can be set by its name"
    assert {name: value for name, value in guards.warn.items() if value is not None} == GuardConfig().warn
    assert not any(guards.stop.values())
    assert guards.from_step == GuardConfig().from_step


def test_options_are_set_without_a_plus():
    rewards = "reward.custom_reward_function.reward_kwargs"
    config = composed(
        "grpo",
        "gpu_8",
        f"{rewards}.weights.anls=1",
        f"{rewards}.weights={{hit@1: 0.5}}",
        f"{rewards}.variant=last",
        "drag.guards.stop.malformed=0.9",
        "drag.episode.max_turns=2",
        "drag.shaping.turn_credit.weights.novelty=0.5",
        "drag.shaping.group.combine=multiply",
        "trainer.v1.sampler.sampler_kwargs.dump_tokens=true",
    )
    check(config)
    reward = RewardConfig.from_mapping(OmegaConf.select(config, rewards), rewards)
    assert reward.weights == dict.fromkeys(SCORES, 0.0) | RewardConfig().weights | {"anls": 1.0, "hit@1": 0.5}
    assert reward.variant == "last"
    settings = rollout_settings(config)
    assert settings.guards.stop["malformed"] == 0.9
    assert settings.episode.max_turns == 2
    assert settings.shaping.turn_credit.weights == {"novelty": 0.5}
    sampler = SamplerSettings.from_mapping(config.trainer.v1.sampler.sampler_kwargs, "sampler_kwargs")
    assert sampler.dump_tokens
    assert sampler.shaping == settings.shaping
    assert sampler.guards == settings.guards


def test_cutoffs_and_rewards_of_a_source_are_set_on_the_command_line_as_the_documents_say():
    rewards = "reward.custom_reward_function.reward_kwargs"
    config = composed(
        "grpo",
        "gpu_8",
        f"{rewards}.weights={{ndcg@10: 1, rank_score: 0}}",
        f"{rewards}.by_source={{pubmed: {{weights: {{recall@100: 1, tiered_recall: 0.2}}, variant: last}}}}",
        f"{rewards}.by_source.nq.weights.search_r1_em=1",
    )
    check(config)
    reward = RewardConfig.from_mapping(OmegaConf.select(config, rewards), rewards)
    weighted = {name: weight for name, weight in reward.weights.items() if weight}
    assert weighted == {"ndcg@10": 1.0, "deep_rank": 0.5, "query_length": -0.1}
    assert reward.of("pubmed") == ({"recall@100": 1.0, "tiered_recall": 0.2}, "last")
    assert reward.of("nq") == ({"search_r1_em": 1.0}, "best")
    assert reward.of("user") == (reward.weights, "best")
    with pytest.raises(OverrideParseException):  # its grammar has no such key
        composed("grpo", "gpu_8", f"{rewards}.weights.ndcg@10=1")


@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_credit_by_turn_is_unbiased_as_the_configurations_stand(name):
    """What reward/turn_credit.py asks of them."""
    config = composed(name, "cpu")
    assert config.actor_rollout_ref.actor.loss_agg_mode == "token-mean"
    assert config.algorithm.gamma == config.algorithm.lam == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("drag.top_n=3", "drag: unknown option 'top_n'; known options: index, pages, "),
        (
            "drag.episode.max_turn=3",
            "drag: unknown option 'episode.max_turn'; known options: action_format, ",
        ),
        (
            "drag.episode.max_turns=0",
            "drag: option 'episode.max_turns': Input should be greater than or equal to 1",
        ),
        ("drag.episode.observation=video", "Input should be 'text', 'image' or 'both'"),
        ("drag.guards.stop.malforme=1", "unknown guard 'malforme'; known guards: zero_variance_groups, "),
        (
            "drag.shaping.turn_credit.weights.gain=1",
            "unknown turn score 'gain'; known turn scores: rank_score_gain, ",
        ),
        (
            "drag.shaping.group.distance=cosine",
            "unknown distance 'cosine'; known distances: pages, queries, local, vllm",
        ),
        (
            "reward.custom_reward_function.reward_kwargs.weights.anlss=1",
            "unknown score 'anlss'; known scores: rank_score, deep_rank, ",
        ),
        (
            "reward.custom_reward_function.reward_kwargs.by_source.faq.weights.anlss=1",
            "option 'by_source.faq.weights': unknown score 'anlss'; known scores: rank_score, deep_rank, ",
        ),
        (
            "trainer.v1.sampler.sampler_kwargs.poll_s=1",
            "unknown option 'poll_s'; known options: poll_interval_s, ",
        ),
        ("drag.index=???", "drag: Missing mandatory value: drag.index"),
    ],
)
def test_a_wrong_option_is_refused_with_the_choices_before_anything_starts(option, message, capsys):
    config = deepcopy(composed("grpo", "cpu"))
    key, _, value = option.partition("=")
    OmegaConf.update(config, key, yaml.safe_load(value))  # as Hydra does
    with pytest.raises(InputError) as caught:
        check(config)
    assert message in str(caught.value)
    with pytest.raises(SystemExit) as ended:
        CheckOptions().on_run_start(config)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said == f"drag-rl: {caught.value}\n"
    assert _MISTAKE.findall(said.encode()) == [str(caught.value).encode()], "the launch scripts say it last"


@pytest.mark.parametrize("said", ["abc", "0", "-1", "nan", "inf"])
def test_a_wrong_time_limit_of_weight_syncs_is_one_line_before_anything_starts(said, monkeypatch, capsys):
    monkeypatch.setenv("DRAG_WEIGHT_SYNC_TIMEOUT_S", said)
    with pytest.raises(SystemExit):
        CheckOptions().on_run_start(composed("grpo", "cpu"))
    problem = "give seconds, more than 0 and at most 86400"
    assert capsys.readouterr().err == f"drag-rl: DRAG_WEIGHT_SYNC_TIMEOUT_S={said}: {problem}\n"


def test_what_is_not_ours_is_hydras_to_refuse():
    with pytest.raises(ConfigCompositionException, match=r"trainer\.top_n"):
        composed("grpo", "cpu", "trainer.top_n=3")
    with pytest.raises(InputError, match="drag: unknown option 'top_n'"):
        rollout_settings({"drag": {"index": "/i", "top_n": 3}})
    with pytest.raises(InputError, match="no 'drag' group"):
        rollout_settings({})


@pytest.mark.parametrize("hardware", sorted(path.stem for path in (CONFIGS / "sft_hardware").glob("*.yaml")))
def test_the_sft_configuration_composes(hardware):
    from drag_rl.sft_options import SFTOptions

    config = compose_lab.composed("sft", [f"sft_hardware={hardware}", "data.train_files=/t"])
    assert SFTOptions.from_mapping(config.data.drag, "data.drag") == SFTOptions()
    config.data.drag.weight_scheme = "linear"
    with pytest.raises(
        InputError, match=r"^data\.drag: .* 'linear'; known weight schemes: rank-score, none, binary"
    ):
        check(config)
    assert config.trainer.device == ("cpu" if hardware == "cpu" else "cuda")


def test_the_dpo_configuration_is_one_of_trl():
    from dataclasses import fields

    from trl import DPOConfig

    config = OmegaConf.to_container(OmegaConf.load(CONFIGS / "dpo.yaml"))
    assert set(config) - {"lora"} <= {field.name for field in fields(DPOConfig)}
