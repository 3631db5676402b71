"""The teaching loop of ``examples/``: the loss is on the policy's tokens alone, and what is rewarded gets likelier."""

from __future__ import annotations

import asyncio
import sys
from itertools import groupby
from pathlib import Path
from statistics import fmean

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def example():
    sys.path.insert(0, str(EXAMPLES))
    import grpo_in_one_file

    sys.path.remove(str(EXAMPLES))
    return grpo_in_one_file


def test_it_can_be_read_at_one_sitting():
    assert len((EXAMPLES / "grpo_in_one_file.py").read_text().splitlines()) < 150


def test_it_learns_from_the_policy_s_own_tokens(example, tmp_path, monkeypatch, capsys):
    """Five steps: the mask is what the policy wrote, rewarded rollouts get likelier."""
    import torch

    likelier = []
    learn = example.learn

    def watched(model, optimizer, rollouts, advantages_N):
        with torch.no_grad():
            before_NT, mask_NT = example.log_probs(model, rollouts)
        learn(model, optimizer, rollouts, advantages_N)
        with torch.no_grad():
            change_NT = example.log_probs(model, rollouts)[0] - before_NT
        likelier.append(float((advantages_N[:, None] * change_NT * mask_NT).sum()))
        for rollout in rollouts:
            check_mask(rollout, watched.tokenizer)

    roll_out = example.roll_out

    async def told(questions, retriever, tokenizer, write):
        watched.tokenizer = tokenizer
        return await roll_out(questions, retriever, tokenizer, write)

    monkeypatch.setattr(example, "learn", watched)
    monkeypatch.setattr(example, "roll_out", told)
    means = asyncio.run(example.train(tmp_path, sft_steps=50, grpo_steps=5))
    assert capsys.readouterr().out.count("mean reward") == 5
    sft, grpo = likelier[:50], likelier[50:]
    assert min(sft[:5]) > 0, sft  # later ones fit words that were drawn at random
    assert fmean(change > 0 for change in grpo) >= 0.8, grpo
    assert len(means) == 5 and max(means) > 0.1, means  # the protocol was learnt, so some searches find gold


def check_mask(rollout, tokenizer):
    """The tokens of mask 1 are the messages of the trace, verbatim, and nothing else."""
    runs = groupby(zip(rollout.ids, rollout.mask, strict=True), key=lambda pair: pair[1])
    written = [tokenizer.decode([token for token, _ in run]) for own, run in runs if own]
    turns = rollout.episode.outcome().turns
    assert [text.removesuffix("<|im_end|>") for text in written] == [turn.text for turn in turns]
    assert rollout.mask[0] == 0
