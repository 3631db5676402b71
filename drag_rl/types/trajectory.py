"""A finished episode and how it was made."""

from __future__ import annotations

from dataclasses import dataclass

from drag_rl.types.outcome import Outcome


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

    @property
    def trajectory_id(self) -> str:
        """Unique within a question set and model: ``traj_<question id>_<sample>``."""
        return f"traj_{self.outcome.question.question_id}_{self.sample}"
