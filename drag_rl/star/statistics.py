"""What a filter kept and why: the seeds' statistics, by data source and by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from drag_rl.star.rules import RULES
from drag_rl.types import Trajectory

NOT_FOUND = "none"
"""Stands for the step or rank of a kept trajectory that never found gold (the rule ``gold_found`` was off)."""
ABOVE_MEAN = "above_mean"
"""The name under which ``--above-mean`` counts what it drops."""
PER_QUESTION = "per_question"
"""The name under which ``--per-question`` counts what it drops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCount:
    """How a rule fared."""

    dropped: int = 0
    """Trajectories for which it was the first rule that they failed; over all rules these add up to the filtered."""
    failed: int = 0
    """All trajectories that failed it, whatever else they failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCount:
    """Trajectories of one ``data_source``."""

    total: int
    valid: int
    filtered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts of a filter run; percentages are of the total."""

    total: int
    valid: int
    """Kept."""
    filtered: int
    """Dropped; ``valid + filtered == total``."""
    filtered_for_wasted_turns: int
    """Of the filtered, those that failed only rules whose objections are turns that training can mask."""
    valid_percent: float
    filtered_percent: float
    questions: int
    questions_valid: int
    """Questions with a kept trajectory."""
    hinted: int
    """Trajectories that were shown a gold page beforehand."""
    hinted_valid: int
    first_success_step: dict[str, int]
    """Step of the first search that found gold -> kept trajectories."""
    best_rank: dict[str, int]
    """Best rank of a gold page among the hits -> kept trajectories."""
    data_sources: dict[str, SourceCount]
    rules: dict[str, RuleCount]

    def to_dict(self) -> dict[str, Any]:
        """The statistics as JSON values."""
        return asdict(self)


@dataclass(slots=True)
class Counts:
    """Counts while a filter runs."""

    rules: Sequence[str]
    """The rules that apply, in their order."""
    total: Counter[str] = field(default_factory=Counter)
    """By data source."""
    valid: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    """By the first rule that was failed."""
    failed: Counter[str] = field(default_factory=Counter)
    for_wasted_turns: int = 0
    hinted: int = 0
    hinted_valid: int = 0
    questions: set[str] = field(default_factory=set)
    questions_valid: set[str] = field(default_factory=set)
    steps: Counter[int | None] = field(default_factory=Counter)
    ranks: Counter[int | None] = field(default_factory=Counter)

    def saw(self, trajectory: Trajectory) -> None:
        """Count a trajectory that was read."""
        question = trajectory.outcome.question
        self.total[question.data_source] += 1
        self.questions.add(question.question_id)
        self.hinted += bool(trajectory.hint_page_ids)

    def drop(self, failed: Sequence[str]) -> None:
        """Count a trajectory that failed these rules."""
        self.dropped[failed[0]] += 1
        self.failed.update(failed)
        self.for_wasted_turns += all(name in RULES and RULES[name].masked for name in failed)

    def keep(self, trajectory: Trajectory) -> None:
        """Count a trajectory that is kept."""
        outcome = trajectory.outcome
        find = outcome.first_find
        self.valid[outcome.question.data_source] += 1
        self.questions_valid.add(outcome.question.question_id)
        self.hinted_valid += bool(trajectory.hint_page_ids)
        self.steps[find.step if find else None] += 1
        self.ranks[outcome.best_gold_rank if find else None] += 1

    def statistics(self) -> Statistics:
        """The counts so far."""
        total, valid = self.total.total(), self.valid.total()
        sources = {
            name: SourceCount(total=n, valid=self.valid[name], filtered=n - self.valid[name])
            for name, n in sorted(self.total.items())
        }
        return Statistics(
            total=total,
            valid=valid,
            filtered=total - valid,
            filtered_for_wasted_turns=self.for_wasted_turns,
            valid_percent=percent(valid, total),
            filtered_percent=percent(total - valid, total),
            questions=len(self.questions),
            questions_valid=len(self.questions_valid),
            hinted=self.hinted,
            hinted_valid=self.hinted_valid,
            first_success_step=_ordered(self.steps),
            best_rank=_ordered(self.ranks),
            data_sources=sources,
            rules={
                name: RuleCount(dropped=self.dropped[name], failed=self.failed[name]) for name in self.rules
            },
        )


def percent(part: int, whole: int) -> float:
    """A share in percent with one decimal; 0 of nothing.

    >>> percent(209, 351), percent(0, 0)
    (59.5, 0.0)
    """
    return round(100 * part / whole, 1) if whole else 0.0


def _ordered(counts: Counter[int | None]) -> dict[str, int]:
    known = sorted(value for value in counts if value is not None)
    return {str(value): counts[value] for value in known} | (
        {NOT_FOUND: counts[None]} if counts[None] else {}
    )
