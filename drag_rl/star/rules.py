"""What makes a trajectory worth learning from: a table of named rules.

A new rule is a new line in the table; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drag_rl.errors import InputError
from drag_rl.metrics.citations import citation_scores
from drag_rl.star.rationalise import COPIED_WORDS, copies_words
from drag_rl.star.turns import searches
from drag_rl.tables import Table
from drag_rl.types import StopReason, Trajectory

Test = Callable[[Trajectory], bool]
"""True for a trajectory to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers that rules need."""

    max_turns: int = 0
    """The most turns of a trajectory; 0 means no limit."""
    max_tokens: int = 0
    """The most tokens of a conversation, prompt included, as far as its server told them; 0 means no limit."""
    copy_words: int = COPIED_WORDS
    """So many words of a hint page in a row are a copy of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One reason to keep or drop a trajectory."""

    keeps: str
    """What it keeps, in a few words."""
    default: bool = True
    """Whether it applies where the user names no rules."""
    masked: bool = False
    """Whether what it objects to are wasted turns, which training can mask instead (see ``turns.wasted_turns``)."""
    build: Callable[[Limits], Test]
    """Make the test for one run over trajectories."""


def _unique(_: Limits) -> Test:
    seen: set[tuple[str, int, str, str, bool]] = set()

    def test(trajectory: Trajectory) -> bool:
        key = (
            trajectory.outcome.question.question_id,
            trajectory.sample,
            trajectory.model,
            trajectory.sampling,
            bool(trajectory.hint_page_ids),
        )
        return key not in seen and not seen.add(key)  # type: ignore[func-returns-value]

    return test


def _no_error(_: Limits) -> Test:
    return lambda trajectory: trajectory.outcome.stop_reason != StopReason.ERROR


def _searched(_: Limits) -> Test:
    return lambda trajectory: bool(trajectory.outcome.searches)


def _gold_found(_: Limits) -> Test:
    return lambda trajectory: trajectory.outcome.solved


def _well_formed(_: Limits) -> Test:
    return lambda trajectory: not trajectory.outcome.malformed


def _no_duplicate_query(_: Limits) -> Test:
    return lambda trajectory: not any(trajectory.outcome.repeated)


def _not_cut(_: Limits) -> Test:
    return lambda trajectory: trajectory.outcome.stop_reason != StopReason.LENGTH


def _within_length(limits: Limits) -> Test:
    def test(trajectory: Trajectory) -> bool:
        if limits.max_turns and len(trajectory.outcome.turns) > limits.max_turns:
            return False
        sizes = [
            (generation.prompt_tokens or 0) + (generation.completion_tokens or 0)
            for generation in trajectory.generations
        ]
        return not limits.max_tokens or max(sizes, default=0) <= limits.max_tokens

    return test


def _no_hint_copy(limits: Limits) -> Test:
    def test(trajectory: Trajectory) -> bool:
        outcome = trajectory.outcome
        hints = set(trajectory.hint_page_ids)
        return not any(
            copies_words(query, hit.snippet, limits.copy_words)
            for turn, query, _ in searches(outcome)
            if hints and outcome.finds(turn)
            for hit in turn.hits
            if hit.page_id in hints
        )

    return test


def _honest(_: Limits) -> Test:
    return lambda trajectory: not trajectory.hint_page_ids


def _answered(_: Limits) -> Test:
    return lambda trajectory: trajectory.outcome.stop_reason == StopReason.ANSWERED


def _cites_gold(_: Limits) -> Test:
    return lambda trajectory: citation_scores(trajectory.outcome)["citation_recall"] > 0


def _stopped_well(_: Limits) -> Test:
    def test(trajectory: Trajectory) -> bool:
        outcome = trajectory.outcome
        if not outcome.config.enough:
            return True
        ended = outcome.enough is not None or outcome.answer is not None
        return ended and outcome.searches_to_cover is not None

    return test


def _no_search_after_enough(_: Limits) -> Test:
    def test(trajectory: Trajectory) -> bool:
        outcome = trajectory.outcome
        needed = outcome.searches_to_cover
        return not outcome.config.enough or needed is None or len(outcome.searches) == needed

    return test


RULES: Table[Rule] = Table(
    "rule",
    {
        "unique": Rule(keeps="the first row of a question's sample", build=_unique),
        "no_error": Rule(keeps="no failure of the server", build=_no_error),
        "searched": Rule(keeps="at least one search", build=_searched),
        "gold_found": Rule(keeps="gold among the hits of a search", build=_gold_found),
        "well_formed": Rule(keeps="every message an action", masked=True, build=_well_formed),
        "not_cut": Rule(keeps="not ended by a token budget", masked=True, build=_not_cut),
        "no_duplicate_query": Rule(
            keeps="no query made twice for the same pages", masked=True, build=_no_duplicate_query
        ),
        "within_length": Rule(keeps="within --max-turns and --max-tokens", build=_within_length),
        "no_hint_copy": Rule(keeps="no copy of --copy-words words of the hint", build=_no_hint_copy),
        "honest": Rule(keeps="no hint was shown", default=False, build=_honest),
        "answered": Rule(keeps="ended with an answer", default=False, build=_answered),
        "cites_gold": Rule(
            keeps="the answer cites a gold page that was shown", default=False, build=_cites_gold
        ),
        "stopped_well": Rule(
            keeps="with enough=true: ended by the policy, every gold page found",
            default=False,
            build=_stopped_well,
        ),
        "no_search_after_enough": Rule(
            keeps="with enough=true: no search after every gold page was found",
            default=False,
            masked=True,
            build=_no_search_after_enough,
        ),
    },
    group="drag_rl.rules",
)
"""Name -> rule; a trajectory is dropped by the first that it fails, in this order."""


def select_rules(text: str) -> tuple[str, ...]:
    """The names of the rules that ``--rules`` asks for, in the order of the table.

    A comma-separated list of names; ``default`` and ``all`` stand for several, and ``-name`` takes one away. Raises
    InputError for an unknown name.

    >>> select_rules("gold_found,searched")
    ('searched', 'gold_found')
    >>> "honest" in select_rules("default,honest"), "well_formed" in select_rules("default,-well_formed")
    (True, False)
    """
    chosen: set[str] = set()
    for word in text.replace(" ", "").split(","):
        name = word.removeprefix("-")
        named = {
            "default": {name for name, rule in RULES.items() if rule.default},
            "all": set(RULES),
            "": set[str](),
        }.get(name, {name})
        if unknown := named - RULES.keys():
            raise InputError(f"--rules: unknown rule {unknown.pop()!r}; the rules are {', '.join(RULES)}")
        chosen = chosen - named if word.startswith("-") else chosen | named
    return tuple(name for name in RULES if name in chosen)
