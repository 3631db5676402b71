"""verl's way to a reward: its manager is given a rollout, whose question's source says which reward it has."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import torch
import trajectory_lab as lab
from omegaconf import OmegaConf
from verl import DataProto

from drag_rl.files.codec import to_json
from drag_rl.verl_plugin.options import search_options
from reward.rank_score_manager import RankScoreRewardManager
from reward.table import compute_reward


def given(outcome):
    """A rollout as verl's reward loop hands it on."""
    fields = np.array([{"outcome": to_json(outcome)}], dtype=object)
    return DataProto.from_dict({"responses": torch.zeros(1, 1)}, {"tool_extra_fields": fields})


def test_the_manager_pays_by_source_under_the_same_keys_and_says_so_once(capsys):
    config = search_options()
    OmegaConf.update(
        config,
        "reward.custom_reward_function.reward_kwargs.by_source",
        {"faq": {"weights": {"recall@10": 2.0}, "variant": "first"}},
    )
    manager = RankScoreRewardManager(config, tokenizer=None)
    index = lab.shared_index()
    played = [lab.played(index, question, [lab.search("impeller")]).outcome for question in lab.QUESTIONS[:2]]
    played.append(replace(played[0], question=replace(played[0].question, data_source="never heard of")))

    async def paid():
        return [await manager.run_single(given(outcome)) for outcome in played * 2]

    results = asyncio.run(paid())
    assert [outcome.question.data_source for outcome in played] == ["faq", "outline", "never heard of"]
    for outcome, result in zip(played * 2, results, strict=True):
        reward, breakdown = compute_reward(outcome, manager.reward_config)
        assert result == {"reward_score": reward, "reward_extra_info": breakdown}
        assert breakdown.keys() == results[0]["reward_extra_info"].keys()
    faq, _, other = results[:3]
    assert faq["reward_score"] == 2.0 * faq["reward_extra_info"]["recall@10"] == 2.0
    assert other["reward_score"] == 1.0, "the general reward"
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "[reward] questions of 'faq' have its own: recall@10=2 (first search)",
        "[reward] questions of 'outline' have the general one: rank_score=0.5 deep_rank=0.5 query_length=-0.1 "
        "(best search)",
        "[reward] questions of 'never heard of' have the general one: rank_score=0.5 deep_rank=0.5 query_length=-0.1 "
        "(best search)",
    ]


def test_with_one_reward_for_all_nothing_is_said(capsys):
    manager = RankScoreRewardManager(search_options(), tokenizer=None)
    outcome = lab.played(lab.shared_index(), lab.QUESTIONS[0], [lab.search("impeller")]).outcome
    assert asyncio.run(manager.run_single(given(outcome)))["reward_score"] == 1.0
    assert capsys.readouterr().out == ""
