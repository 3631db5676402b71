"""What holds of a run that trains, and of the rewards that it trains on."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from training_lab import Run

from drag_rl.files.codec import from_json
from drag_rl.types import Outcome
from reward.turn_credit import TurnCreditConfig, turn_credits


def policy_texts(row, tokenizer) -> list[str]:
    """The texts of the runs of tokens that carry loss."""
    texts, run = [], []
    for token, loss in zip([*row["responses"], 0], [*row["response_mask"], 0], strict=True):
        if loss:
            run.append(token)
        elif run:
            texts.append(tokenizer.decode(run).removesuffix("<|im_end|>"))
            run = []
    return texts


def outcome_of(row) -> Outcome:
    """The trace of a dumped trajectory."""
    return from_json(Outcome, json.dumps(row["outcome"]))


def check_learning(run: Run, model, steps: int) -> None:
    """The first steps: the mask is the policy's tokens, log-probabilities are the trainer's, the weights move."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    numbers = set(range(1, steps + 1))

    def metric(name):
        found = {step: value for step, value in run.metric(name).items() if step in numbers}
        assert set(found) == numbers, f"{name}: {run.log[-3000:]}"
        return found

    # The mask covers exactly the tokens that the policy wrote.
    rows = [row for row in run.trajectories() if row["step"] in numbers]
    assert {row["step"] for row in rows} == numbers, run.log[-3000:]
    for row in rows:
        assert policy_texts(row, tokenizer) == [turn["text"] for turn in row["outcome"]["turns"]]
    banned = set(tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>"]))
    for row in rows:
        assert not banned & {
            token for token, own in zip(row["responses"], row["response_mask"], strict=True) if own
        }
    assert any(turn["hits"] for row in rows for turn in row["outcome"]["turns"])
    # The sampled log-probabilities are those of the trainer's weights, before the first step and after it: the
    # weights changed (another entropy), and what changed has reached vLLM.
    assert min(metric("training/rollout_actor_probs_pearson_corr").values()) > 0.999
    entropy = metric("actor/entropy")
    assert abs(entropy[1] - entropy[steps]) > 1e-3
    assert all(value > 0 for value in metric("drag/sampled_entropy").values())
    # There is a gradient, and in each step where rollouts of one question earn different rewards.
    gradient, earned = metric("actor/grad_norm"), defaultdict(set)
    for row in rows:
        earned[row["step"], row["uid"]].add(row["reward"])
    assert any(value > 0 for value in gradient.values())
    assert all(gradient[step] > 0 for (step, _), rewards in earned.items() if len(rewards) > 1)
    # The breakdown is among the training metrics, the guards too, and the trainer's rewards are those of the dump.
    for name in ("rank_score", "hit@1", "gold_rank", "turns", "format"):
        metric(f"drag/{name}/mean")
    metric("guard/zero_variance_groups")
    for step, mean in metric("critic/score/mean").items():
        mine = [row["reward"] for row in rows if row["step"] == step]
        assert mean == pytest.approx(sum(mine) / len(mine), abs=1e-5)


def check_turn_credit(rows, config: TurnCreditConfig) -> None:
    """Each turn's credit stands on its last token, and nothing else earns anything."""
    placed = 0
    for row in rows:
        mask = row["response_mask"]
        ends = [i for i, own in enumerate(mask) if own and (i + 1 == len(mask) or not mask[i + 1])]
        earned = turn_credits(outcome_of(row), config)
        assert [row["rm_scores"][end] for end in ends] == pytest.approx(list(earned))
        assert sum(map(abs, row["rm_scores"])) == pytest.approx(sum(map(abs, earned)))
        placed += sum(1 for end in ends[:-1] if row["rm_scores"][end])
    assert placed, "no turn before the last earned anything"
