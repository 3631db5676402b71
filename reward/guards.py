"""Guards: what training does to the policy that the reward does not show, measured each step.

GRPO on searches collapses in known ways: groups without variance, the same query again and again, no search at all,
malformed messages, thoughts that repeat themselves, ever longer queries, and correct trajectories that become unlikely
(Lazy Likelihood Displacement, arXiv 2512.04220) long before the score falls. ``guard_metrics`` measures a batch,
``check`` compares it with thresholds; whoever trains logs the one and obeys the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter, field_validator

from drag_rl.config import Config
from drag_rl.tables import Table
from drag_rl.types import Outcome, Turn
from reward.steps import duplicate_query, malformed

REPEAT_WORDS = 4
"""Length of the n-grams whose repetition shows a degenerate thought."""


class Rollout(NamedTuple):
    """One trajectory of a batch."""

    uid: str
    """The group: rollouts of one question in one step."""
    reward: float
    outcome: Outcome
    logprob: float | None = None
    """Mean log-probability of the policy's tokens; None when it is not known."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One thing to watch."""

    measure: Callable[[Sequence[Rollout]], float | None]
    """Its value for a batch; None where it is not known."""
    bad: Literal["above", "below"]
    """The side of a threshold on which a batch is bad."""


class GuardConfig(Config):
    """When the guards warn and when they end a run."""

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
    """Thresholds by the names of ``GUARDS``: a batch beyond one is reported. Null, or no threshold: no report."""
    stop: dict[str, float | None] = Field(default={})
    """Thresholds by the names of ``GUARDS``: a batch beyond one ends the run. Null, or no threshold: it goes on."""
    from_step: int = Field(default=5, ge=0)
    """The first step that is checked: before it the policy is untrained, and thresholds say little."""

    @field_validator("warn", "stop")
    @classmethod
    def _known(cls, thresholds: dict[str, float | None]) -> dict[str, float | None]:
        for name in thresholds:
            if name not in GUARDS:
                raise ValueError(GUARDS.unknown(name))
        return thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A threshold that a batch has passed."""

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
    """What the guards watch, of one batch: the names of ``GUARDS``, without those whose value is not known."""
    values = {name: guard.measure(rollouts) for name, guard in GUARDS.items()}
    return {name: value for name, value in values.items() if value is not None}


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
            message=f"step {step}: {name} is {metrics[name]:.3g}, {GUARDS[name].bad} the threshold of {threshold:.3g}",
        )
        for level, thresholds in levels
        for name, threshold in thresholds.items()
        if threshold is not None and name in metrics and _is_beyond(name, metrics[name], threshold)
    )


def _zero_variance_groups(rollouts: Sequence[Rollout]) -> float:
    return zero_variance_share([(rollout.uid, rollout.reward) for rollout in rollouts])


def _duplicate_queries(rollouts: Sequence[Rollout]) -> float:
    return _ratio(sum(sum(duplicate_query(one.outcome)) for one in rollouts), len(_queries(rollouts)))


def _malformed(rollouts: Sequence[Rollout]) -> float:
    return _ratio(sum(sum(malformed(one.outcome)) for one in rollouts), len(_turns(rollouts)))


def _think_repetition(rollouts: Sequence[Rollout]) -> float:
    return _mean([repetition(turn.action.thought) for turn in _turns(rollouts) if turn.action.thought])


def _response_chars(rollouts: Sequence[Rollout]) -> float:
    return _ratio(sum(len(turn.text) for turn in _turns(rollouts)), len(rollouts))


def _correct_logprob(rollouts: Sequence[Rollout]) -> float | None:
    known = [one.logprob for one in rollouts if one.logprob is not None and one.outcome.solved]
    return fmean(known) if known else None


GUARDS: Table[Guard] = Table(
    "guard",
    {
        # a share of the groups
        "zero_variance_groups": Guard(_zero_variance_groups, bad="above"),
        # of the searches
        "duplicate_queries": Guard(_duplicate_queries, bad="above"),
        # of the messages
        "malformed": Guard(_malformed, bad="above"),
        # means over trajectories
        "turns": Guard(lambda rollouts: _ratio(len(_turns(rollouts)), len(rollouts)), bad="above"),
        "searches": Guard(lambda rollouts: _ratio(len(_queries(rollouts)), len(rollouts)), bad="below"),
        # of the 4-grams of a thought, mean over thoughts
        "think_repetition": Guard(_think_repetition, bad="above"),
        # characters: mean over searches, and of the policy's own text over trajectories
        "query_chars": Guard(
            lambda rollouts: _mean([len(query) for query in _queries(rollouts)]), bad="above"
        ),
        "response_chars": Guard(_response_chars, bad="above"),
        # mean log-probability of the trajectories with a gold page in the top k; only where known
        "correct_logprob": Guard(_correct_logprob, bad="below"),
    },
    group="drag_rl.guards",
)
"""Name -> what is watched."""


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


def _turns(rollouts: Sequence[Rollout]) -> list[Turn]:
    return [turn for rollout in rollouts for turn in rollout.outcome.turns]


def _queries(rollouts: Sequence[Rollout]) -> list[str]:
    return [query for rollout in rollouts for query in rollout.outcome.queries]


def _is_beyond(name: str, value: float, threshold: float) -> bool:
    return value > threshold if GUARDS[name].bad == "above" else value < threshold


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
