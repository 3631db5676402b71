"""A finished episode and how it was made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drag_rl.types.generated import Generated
from drag_rl.types.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """What was asked of one model, drafts that were thrown away included."""

    model: str
    """Its name at its server."""
    calls: int = 1
    prompt_tokens: int | None = None
    """Tokens that it read, in all calls; None when a call does not tell."""
    completion_tokens: int | None = None
    """Tokens that it wrote, in all calls; None when a call does not tell."""
    seconds: float = 0.0
    """Wall time, summed over the calls, those at the same time too."""


def added_up(uses: Iterable[ModelUse]) -> tuple[ModelUse, ...]:
    """One use for each model, in the order of their first calls.

    >>> [(use.model, use.calls, use.prompt_tokens) for use in added_up(
    ...     [ModelUse(model="a", prompt_tokens=3), ModelUse(model="b"), ModelUse(model="a", prompt_tokens=4)])]
    [('a', 2, 7), ('b', 1, None)]
    """
    sums: dict[str, ModelUse] = {}
    for use in uses:
        before = sums.get(use.model)
        sums[use.model] = use if before is None else _sum(before, use)
    return tuple(sums.values())


def _sum(one: ModelUse, other: ModelUse) -> ModelUse:
    return ModelUse(
        model=one.model,
        calls=one.calls + other.calls,
        prompt_tokens=plus(one.prompt_tokens, other.prompt_tokens),
        completion_tokens=plus(one.completion_tokens, other.completion_tokens),
        seconds=one.seconds + other.seconds,
    )


def plus(one: int | None, other: int | None) -> int | None:
    """The sum of two counts; None where one is not known."""
    return None if one is None or other is None else one + other


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What one assistant message took."""

    prompt_tokens: int | None = None
    """Tokens that the policy read; None when it does not tell, as baselines that are no model."""
    completion_tokens: int | None = None
    """Tokens that the policy wrote; None when it does not tell."""
    seconds: float = 0.0
    """Wall time of the message."""
    finish_reason: str = "stop"
    """``stop``, or ``length`` for a message cut by a token limit."""
    uses: tuple[ModelUse, ...] = ()
    """What was asked of each model for the message; empty where no model was, and in older records."""
    read_on: bool = False
    """Whether the policy had stopped before, and the message only reads on in a ranking, to the whole budget."""
    signal: float | None = None
    """What the policy compares with its threshold to decide whether it stops here; None where it decides nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """A finished episode and how it was made: one per (question, sample)."""

    outcome: Outcome
    sample: int = 0
    """0-based number among the rollouts of the question."""
    model: str = ""
    """The model's name at its server, or the policy's own name where no server is asked."""
    sampling: str = ""
    """Name of the sampling configuration."""
    generations: tuple[Generation, ...] = ()
    """Aligned with ``outcome.turns``."""
    error: str = ""
    """What failed, for ``StopReason.ERROR``."""
    hint_page_ids: tuple[str, ...] = ()
    """Gold pages that the policy was shown beforehand (rationalisation); empty for an honest rollout."""
    generated: Generated | None = None
    """What a generator answered from its pages, where one was asked; answers have a file of their own."""
    continued: bool | None = None
    """Whether reading on from where the policy stopped finds the gold pages that it lacks; None where it lacks none or
    did not stop, and where nobody looked (:mod:`drag_rl.evaluation.continuation`)."""

    @property
    def uses(self) -> tuple[ModelUse, ...]:
        """What was asked of each model, over all messages."""
        return added_up(use for generation in self.generations for use in generation.uses)

    @property
    def trajectory_id(self) -> str:
        """Unique within a question set and model: ``traj_<question id>_<sample>``."""
        return f"traj_{self.outcome.question.question_id}_{self.sample}"
