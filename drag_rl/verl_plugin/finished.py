"""The finished rollouts of a batch, as they lie in verl's TransferQueue: read from it, and their rewards put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
import transfer_queue as tq
from verl.utils import tensordict_utils as tu

from drag_rl.files.codec import from_json
from drag_rl.types import Outcome

TOKEN_FIELDS = ("responses", "response_mask", "rollout_log_probs", "rm_scores")
"""What the queue has for each response token, in lists of equal length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRollout:
    """One trajectory of a batch."""

    key: str
    """Its key in the queue: ``<uid>_<session>_<number>``."""
    outcome_json: str
    """The outcome as the agent loop wrote it."""
    outcome: Outcome
    """What ``outcome_json`` says."""
    breakdown: dict[str, float]
    """The unweighted scores and counts that the reward manager reports."""
    tokens: dict[str, list[Any]]
    """Those of ``TOKEN_FIELDS`` that the queue has."""
    blank_pages: int = 0
    """Images that were shown blank, because their pages cannot be rendered."""

    @property
    def uid(self) -> str:
        """The group: rollouts of one question in one step."""
        return self.key.rsplit("_", 2)[0]

    @property
    def sample(self) -> int:
        """The rollout's number in its group."""
        return int(self.key.rsplit("_", 2)[1])

    @property
    def reward(self) -> float:
        """The sum of the token rewards."""
        return float(sum(self.tokens["rm_scores"]))

    @property
    def own_logprobs(self) -> list[float]:
        """Log-probabilities of the policy's tokens (nats); none where they are not known."""
        logprobs, mask = self.tokens.get("rollout_log_probs"), self.tokens["response_mask"]
        return [value for value, own in zip(logprobs, mask, strict=True) if own] if logprobs else []

    @property
    def own_logprob(self) -> float | None:
        """The mean log-probability of the policy's tokens (nats); None where it is not known."""
        return fmean(own) if (own := self.own_logprobs) else None


def read_finished(batch: Any) -> list[FinishedRollout]:
    """The rollouts of a batch that verl's replay buffer has sampled, in its order."""
    fields = ["extra_fields", *TOKEN_FIELDS]
    data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
    extras = data.pop("extra_fields").tolist()
    tokens = {name: [row.tolist() for row in data[name]] for name in TOKEN_FIELDS if name in data}
    return [
        FinishedRollout(
            key=key,
            outcome_json=extra["outcome"],
            outcome=from_json(Outcome, extra["outcome"]),
            breakdown=extra.get("reward_extra_info", {}),
            tokens={name: values[position] for name, values in tokens.items()},
            blank_pages=extra.get("blank_pages", 0),
        )
        for position, (key, extra) in enumerate(zip(batch.keys, extras, strict=True))
    ]


def replace_rewards(
    batch: Any, rollouts: Sequence[FinishedRollout], rewards: Sequence[Sequence[float]]
) -> None:
    """Replace the rewards of the response tokens, in ``rollouts`` and in the queue, from which the trainer reads."""
    for rollout, row in zip(rollouts, rewards, strict=True):
        rollout.tokens["rm_scores"] = list(row)
    nested = torch.nested.as_nested_tensor([torch.tensor(row) for row in rewards], layout=torch.jagged)
    fields = tu.get_tensordict({"rm_scores": nested})
    tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)
