"""Counts over trajectories as they come in, and the paragraph that sums them up."""

from __future__ import annotations

from dataclasses import dataclass, field

from drag_rl.types import StopReason, Trajectory


@dataclass(slots=True)
class Counts:
    """What a set of trajectories came to; ``add`` one after the other."""

    episodes: int = 0
    solved: int = 0
    """Episodes in which some search brought a gold page into its top k."""
    errors: int = 0
    """Episodes that failed for the server's sake; they count as unsolved."""
    turns: int = 0
    searches: int = 0
    completion_tokens: int = 0
    in_document: int = 0
    """Episodes that searched only the document that their question is asked of."""
    scope_wanted: bool = False
    """Whether any should have (``scope=document``)."""
    stop_reasons: dict[StopReason, int] = field(default_factory=dict)

    def add(self, trajectory: Trajectory) -> None:
        """Count a trajectory."""
        outcome = trajectory.outcome
        self.episodes += 1
        self.solved += outcome.solved
        self.errors += outcome.stop_reason == StopReason.ERROR
        self.turns += len(outcome.turns)
        self.searches += len(outcome.searches)
        self.in_document += outcome.scope is not None
        self.scope_wanted |= outcome.config.scope == "document"
        self.completion_tokens += sum(g.completion_tokens or 0 for g in trajectory.generations)
        self.stop_reasons[outcome.stop_reason] = self.stop_reasons.get(outcome.stop_reason, 0) + 1

    def by_name(self) -> dict[str, int]:
        """The counts by name, for a manifest."""
        named = ("episodes", "solved", "errors", "turns", "searches", "completion_tokens", "in_document")
        counts: dict[str, int] = {name: getattr(self, name) for name in named}
        return counts | {f"ended_{reason}": count for reason, count in sorted(self.stop_reasons.items())}

    def paragraph(self, seconds: float) -> str:
        """The counts in words; ``seconds`` of wall time give the speed.

        >>> Counts(episodes=4, solved=1, turns=6, searches=5, completion_tokens=80).paragraph(2.0)
        '4 episodes: 1 solved (25.0 %), 1.50 turns and 1.25 searches on average, 0 errors; 80 tokens, 40 tokens/s.'
        """
        answered = max(1, self.episodes - self.errors)
        scope = f" {self.in_document} searched in the document of their question, the others everywhere."
        ended = ", ".join(f"{reason} {count}" for reason, count in sorted(self.stop_reasons.items()))
        return (
            f"{self.episodes} episodes: {self.solved} solved ({100 * self.solved / max(1, self.episodes):.1f} %), "
            f"{self.turns / answered:.2f} turns and {self.searches / answered:.2f} searches on average, "
            f"{self.errors} errors; {self.completion_tokens} tokens, "
            f"{self.completion_tokens / max(seconds, 1e-9):.0f} tokens/s."
            + (scope if self.scope_wanted else "")
            + (f" Ended by: {ended}." if ended else "")
        )
