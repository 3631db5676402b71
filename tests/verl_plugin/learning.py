"""What holds of every run that trains all weights at a high rate."""

from __future__ import annotations

from collections import defaultdict

from training_lab import Run


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


def check_learning(run: Run, model, steps: int) -> None:
    """The mask is the policy's tokens, the log-probabilities are the trainer's, the weights move, metrics are there."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    assert run.returncode == 0, run.log[-3000:]
    # The mask covers exactly the tokens that the policy wrote.
    rows = run.trajectories()
    assert {row["step"] for row in rows} == set(range(1, steps + 1))
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
    correlation = run.metric("training/rollout_actor_probs_pearson_corr")
    assert set(correlation) == set(range(1, steps + 1))
    assert min(correlation.values()) > 0.999
    entropy, sampled = run.metric("actor/entropy"), run.metric("drag/sampled_entropy")
    assert abs(entropy[1] - entropy[steps]) > 1e-3
    assert set(sampled) == set(entropy) and all(value > 0 for value in sampled.values())
    # There is a gradient, and in each step where rollouts of one question earn different rewards.
    gradient, earned = run.metric("actor/grad_norm"), defaultdict(set)
    for row in rows:
        earned[row["step"], row["uid"]].add(row["reward"])
    assert any(value > 0 for value in gradient.values())
    assert all(gradient[step] > 0 for (step, _), rewards in earned.items() if len(rewards) > 1)
    # The breakdown is among the training metrics.
    for name in ("rank_score", "hit@1", "gold_rank", "turns", "format"):
        assert set(run.metric(f"drag/{name}/mean")) == set(range(1, steps + 1))
