"""Rationalisation, the second half of STaR: what the model never solved it tries again with the gold page in view.

Only the policy sees the hint. The search does not, so a kept trajectory's query truly finds the gold page; the trace
does not, so training renders the question without it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drag_rl.episode.neutral import neutralise
from drag_rl.episode.observation import cut
from drag_rl.errors import InputError
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import Question, StopReason, Trajectory

HINT_CHARS = 600
"""Characters of page text in a hint, at most."""
COPIED_WORDS = 8
"""A query that holds this many words of the hint in a row is reported as copied."""

_HINT = """\
Help for this one time: the page that answers the user's last question says:
{text}
Find that page by a search in your own words. Write as if you had not seen it, and say nothing of this help."""
_WORD = re.compile(r"\w+")
_CONFESSION = re.compile(
    r"\b(?:hint|this help|the help|given page|page (?:above|shown|provided))\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What a file of trajectories left unsolved."""

    question_ids: frozenset[str]
    """Questions that were tried without a hint and never solved; errors are no try."""
    next_sample: int
    """One more than the highest sample number, so that the files can be joined."""


def failures(paths: Sequence[Path]) -> Failures:
    """The questions that no honest trajectory of these files solved. Raises InputError for a file that is garbled."""
    tried, solved, highest = set(), set(), -1
    for path in paths:
        for trajectory in read_trajectories(path):
            highest = max(highest, trajectory.sample)
            if trajectory.hint_page_ids or trajectory.outcome.stop_reason == StopReason.ERROR:
                continue
            tried.add(trajectory.outcome.question.question_id)
            if trajectory.outcome.solved:
                solved.add(trajectory.outcome.question.question_id)
    if not tried:
        raise InputError(f"--hint-failures {', '.join(map(str, paths))}: holds no trajectory without a hint")
    return Failures(question_ids=frozenset(tried - solved), next_sample=highest + 1)


def hint_for(question: Question, pages: PageTexts) -> str:
    """What the policy is told: the text of the first gold page, tags made inert."""
    return _HINT.format(text=neutralise(cut(pages.text(question.gold_page_ids[0]), HINT_CHARS)))


def verdict(trajectory: Trajectory) -> str:
    """``kept``, or why a hinted trajectory is no example to learn from.

    ``error``; ``missed``: no query found a gold page; ``told``: it speaks of the hint where its question does not.
    """
    if trajectory.outcome.stop_reason == StopReason.ERROR:
        return "error"
    if not trajectory.outcome.solved:
        return "missed"
    texts = (turn.text for turn in trajectory.outcome.turns)
    told = any(_CONFESSION.search(text) for text in texts)
    return "told" if told and not _CONFESSION.search(trajectory.outcome.question.text) else "kept"


def copies_words(query: str, page_text: str, words: int = COPIED_WORDS) -> bool:
    """Whether a query shares that many words in a row with a text, case and punctuation apart.

    >>> text = "Use merge(). Two data-frames; merge two data frames by row."
    >>> copies_words("how to merge two data frames", text, 4), copies_words("how to merge two data frames", text, 5)
    (True, False)
    """
    ours, theirs = (_WORD.findall(text.lower()) for text in (query, page_text))
    runs = ({tuple(said[n : n + words]) for n in range(len(said) - words + 1)} for said in (ours, theirs))
    return not set.isdisjoint(*runs)


def copies(trajectory: Trajectory, hint: str) -> bool:
    """Whether some query merely copies a span of the hint."""
    return any(copies_words(query, hint) for query in trajectory.outcome.queries)


def report(verdicts: Counter[str]) -> str:
    """The counts of a rationalisation in words.

    >>> report(Counter(kept=2, missed=3, copied=1))
    'With a hint: kept 2 of 5 (1 of them with a copied query), missed 3.'
    """
    total = sum(count for name, count in verdicts.items() if name != "copied")
    dropped = [f"{name} {verdicts[name]}" for name in ("missed", "told", "error") if verdicts[name]]
    kept = (
        f"With a hint: kept {verdicts['kept']} of {total} ({verdicts['copied']} of them with a copied query)"
    )
    return ", ".join([kept, *dropped]) + "."
