"""Guards: what training does to the policy that the reward does not show, measured each step.

GRPO on searches collapses in known ways: groups without variance, the same query again and again, no search at all,
malformed messages, thoughts that repeat themselves, ever longer queries, and correct trajectories that become unlikely
(Lazy Likelihood Displacement, arXiv 2512.04220) long before the score falls. ``guard_metrics`` measures a batch,
``check`` compares it with thresholds; whoever trains logs the one and obeys the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter, field_validator

from drag_rl.config import Config
from drag_rl.types import Outcome, Search
from reward.steps import duplicate_query, malformed

REPEAT_WORDS = 4
"""Length of the n-grams whose repetition shows a degenerate thought."""

GUARDS: Mapping[str, Literal["above", "below"]] = {
    "zero_variance_groups": "above",
    "duplicate_queries": "above",
    "malformed": "above",
    "turns": "above",
    "searches": "below",
    "think_repetition": "above",
    "query_chars": "above",
    "response_chars": "above",
    "correct_logprob": "below",
}
"""What is guarded -> on which side of its threshold it is bad."""


class Rollout(NamedTuple):
    """One trajectory of a batch."""

    uid: str
    """The group: rollouts of one question in one step."""
    reward: float
    outcome: Outcome
    logprob: float | None = None
    """Mean log-probability of the policy's tokens; None when it is not known."""


class GuardConfig(Config):
    """Thresholds by the names of ``GUARDS``; a name that is not given, or null, does not warn or stop."""

    warn: dict[str, float | None] = Field(
        default={
            "zero_variance_groups": 0.8,
            "duplicate_queries": 0.3,
            "malformed": 0.3,
            "searches": 0.5,
            "think_repetition": 0.3,
            "query_chars": 200.0,
        }
    )
    """A batch beyond one of these is reported."""
    stop: dict[str, float | None] = Field(default={})
    """A batch beyond one of these ends the run."""
    from_step: int = Field(default=5, ge=0)
    """First step that is checked; an untrained policy may be anything."""

    @field_validator("warn", "stop")
    @classmethod
    def _known(cls, thresholds: dict[str, float | None]) -> dict[str, float | None]:
        for name in thresholds:
            if name not in GUARDS:
                raise ValueError(f"unknown guard {name!r}; known guards: {', '.join(GUARDS)}")
        return thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A threshold that was passed."""

    level: Literal["warn", "stop"]
    message: str
    """One line: what, how much, which threshold, at which step."""


def rollout_from_row(row: Mapping[str, Any]) -> Rollout:
    """The rollout of a row of a dump; raises KeyError or ValueError (pydantic's too) for a row that is none."""
    logprobs = [
        value
        for value, own in zip(row.get("rollout_log_probs", ()), row.get("response_mask", ()), strict=True)
        if own
    ]
    outcome = _OUTCOME.validate_python(row["outcome"])
    return Rollout(str(row["uid"]), float(row["reward"]), outcome, fmean(logprobs) if logprobs else None)


_OUTCOME = TypeAdapter(Outcome)


def guard_metrics(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """What the guards watch, of one batch: the keys of ``GUARDS``, ``correct_logprob`` only where known.

    ``zero_variance_groups`` is a share of the groups, ``duplicate_queries`` of the searches, ``malformed`` of the
    messages, ``think_repetition`` of the 4-grams of a thought (mean over thoughts); ``turns``, ``searches`` and
    ``response_chars`` (the policy's own text) are means over trajectories, ``query_chars`` over searches,
    ``correct_logprob`` over the trajectories with a gold page in the top k.
    """
    outcomes = [rollout.outcome for rollout in rollouts]
    turns = [turn for outcome in outcomes for turn in outcome.turns]
    queries = [turn.action.query for turn in turns if isinstance(turn.action, Search)]
    metrics = {
        "zero_variance_groups": zero_variance_share([(rollout.uid, rollout.reward) for rollout in rollouts]),
        "duplicate_queries": _ratio(sum(sum(duplicate_query(outcome)) for outcome in outcomes), len(queries)),
        "malformed": _ratio(sum(sum(malformed(outcome)) for outcome in outcomes), len(turns)),
        "turns": _ratio(len(turns), len(outcomes)),
        "searches": _ratio(len(queries), len(outcomes)),
        "think_repetition": _mean([repetition(turn.action.thought) for turn in turns if turn.action.thought]),
        "query_chars": _mean([len(query) for query in queries]),
        "response_chars": _ratio(sum(len(turn.text) for turn in turns), len(outcomes)),
    }
    correct = [
        rollout.logprob for rollout in rollouts if rollout.logprob is not None and rollout.outcome.solved
    ]
    return {**metrics, "correct_logprob": fmean(correct)} if correct else metrics


def check(metrics: Mapping[str, float], config: GuardConfig, step: int) -> tuple[Finding, ...]:
    """The thresholds that a batch passed, those that stop the run first; none before ``config.from_step``."""
    if step < config.from_step:
        return ()
    levels: tuple[tuple[Literal["stop", "warn"], dict[str, float | None]], ...] = (
        ("stop", config.stop),
        ("warn", config.warn),
    )
    return tuple(
        Finding(
            level=level,
            message=f"step {step}: {name} is {metrics[name]:.3g}, {GUARDS[name]} the threshold of {threshold:.3g}",
        )
        for level, thresholds in levels
        for name, threshold in thresholds.items()
        if threshold is not None and name in metrics and _is_beyond(name, metrics[name], threshold)
    )


def zero_variance_share(scored: Sequence[tuple[str, float]]) -> float:
    """The share of groups whose scores are all equal, from (group, score) pairs: these groups teach GRPO nothing.

    >>> zero_variance_share([("a", 0.0), ("a", 1.0), ("b", 0.5), ("b", 0.5)])
    0.5
    """
    groups = defaultdict(list)
    for uid, score in scored:
        groups[uid].append(score)
    return _mean([float(max(scores) - min(scores) < 1e-9) for scores in groups.values()])


def repetition(text: str) -> float:
    """The share of a text's word 4-grams that it has said before, in [0, 1]; 0 for a text of less than 5 words.

    >>> repetition("one two three four five six"), repetition("no " * 13)
    (0.0, 0.9)
    """
    words = text.split()
    grams = [tuple(words[start : start + REPEAT_WORDS]) for start in range(len(words) - REPEAT_WORDS + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _is_beyond(name: str, value: float, threshold: float) -> bool:
    return value > threshold if GUARDS[name] == "above" else value < threshold


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
