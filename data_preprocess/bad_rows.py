"""What happens to a row that is wrong: it stops everything, or is left out with a line while the rest goes on.

A public data set is as it is: the rest of it goes on. A wrong row of a user's own file is a mistake to mend, and a set
of questions that is silently smaller than the file would be measured as if it were whole. So all wrong rows of it are
told at once, and nothing is made of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem

OnBadRow = Callable[[str, str], object]
"""Is told of a row that is wrong: where it stands (file and row) and why. It may raise ``InputError``."""

MAX_LISTED = 1000
"""Rows that are listed one by one; of a file that is wrong throughout the others are counted only."""
NOT_LISTED = "problems_not_listed"


def refuse(where: str, why: str) -> NoReturn:
    """Raise ``InputError``: nothing is left out."""
    raise InputError(f"{where}: {why}")


class BadRowsError(InputError):
    """Rows of a user's file are wrong; the message is that of the one, or the first of them and how many there are."""

    def __init__(self, path: Path, problems: Sequence[Problem], others: int = 0) -> None:
        """``problems`` are the rows that are listed, at least one; ``others`` more are not."""
        first, total = f"{problems[0].where}: {problems[0].reason}", len(problems) + others
        self.problems = problems
        super().__init__(
            first if total == 1 else f"{path}: {total} rows are wrong, and no question is taken; {first}"
        )


@dataclass(slots=True)
class DroppedRows:
    """What of a data set is left out, counted by reason and, where a row is wrong, listed."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def drop(self, reason: str, where: str = "", why: str = "") -> None:
        """Count a row that is left out; with ``where`` it stands and ``why`` it is listed, too."""
        self.counts[reason] += 1
        if where:
            self.note(where, why or reason.replace("_", " "))

    def note(self, where: str, why: str) -> None:
        """List a row that is wrong, and used all the same or counted elsewhere."""
        if len(self.problems) < MAX_LISTED:
            self.problems.append(Problem(where=where, reason=why))
        else:
            self.counts[NOT_LISTED] += 1

    def add(self, later: DroppedRows) -> None:
        """Take what was left out of later rows, as if these had been read here."""
        self.counts.update(later.counts)
        for problem in later.problems:
            self.note(problem.where, problem.reason)

    def as_reason(self, reason: str) -> OnBadRow:
        """What drops rows for this reason."""
        return lambda where, why: self.drop(reason, where, why)
