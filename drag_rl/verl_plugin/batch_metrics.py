"""What a training step reports of its rollouts, beside verl's own metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from drag_rl.types import Outcome
from drag_rl.verl_plugin.finished import FinishedRollout


def batch_metrics(rollouts: Sequence[FinishedRollout]) -> dict[str, float]:
    """Metric -> value for a batch: means of the reward's breakdown, sampled entropy, where it searched, blank pages."""
    return {
        **breakdown_means(rollout.breakdown for rollout in rollouts),
        **sampled_entropy([rollout.own_logprobs for rollout in rollouts]),
        **in_document([rollout.outcome for rollout in rollouts]),
        "drag/blank_pages": float(sum(rollout.blank_pages for rollout in rollouts)),
    }


def breakdown_means(breakdowns: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each score and count over a batch.

    >>> breakdown_means([{"hit@1": 1.0}, {"hit@1": 0.0}])
    {'drag/hit@1/mean': 0.5}
    """
    columns = defaultdict(list)
    for breakdown in breakdowns:
        for name, value in breakdown.items():
            columns[name].append(float(value))
    return {f"drag/{name}/mean": fmean(values) for name, values in columns.items()}


def in_document(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The share of rollouts that searched only the document of their question, where any should (``scope=document``).

    >>> in_document([])
    {}
    """
    if not any(outcome.config.scope == "document" for outcome in outcomes):
        return {}
    return {"drag/in_document": fmean(outcome.scope is not None for outcome in outcomes)}


def sampled_entropy(logprobs: Sequence[Sequence[float]]) -> dict[str, float]:
    """The policy's entropy in nats a token, estimated from what it sampled: ``-mean(log p)`` over all tokens.

    verl logs the exact one (``actor/entropy``) where it computes the old log-probabilities itself, which bypass mode
    does not. Empty where no log-probability is known.

    >>> sampled_entropy([[-1.0, -2.0], [-3.0]]), sampled_entropy([[]])
    ({'drag/sampled_entropy': 2.0}, {})
    """
    tokens = [value for rollout in logprobs for value in rollout]
    return {"drag/sampled_entropy": -fmean(tokens)} if tokens else {}
