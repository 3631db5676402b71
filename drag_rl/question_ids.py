"""Files that name questions by their ids, as the DRAG tutorial's splits do, and the questions that they leave.

Such a file is JSON: ``{"items": [{"question_id": ...}, ...]}``, or a list of objects with ``question_id`` or ``id``, or
of ids. The tutorial's scripts pass over a file that is missing, and take one that they do not know for an empty one;
here both are errors, and so is a file that names none of the questions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.types import Question

INCLUDE, EXCLUDE = "--include-json", "--exclude-json"
FORM = '{"items": [{"question_id": ...}]}, or a list of objects with an id'


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionIds:
    """Which questions are asked, by files that name them."""

    include: tuple[Path, ...] = ()
    """Those that one of these files names; empty: all."""
    exclude: tuple[Path, ...] = ()
    """Without those that one of these names."""

    def choose(self, questions: Sequence[Question]) -> list[Question]:
        """The questions that are left, in their order.

        Raises ``InputError`` for a file that cannot be read, or names none of them, and if none of some is left.
        """
        if not questions:
            return []
        ids = {question.question_id for question in questions}
        included = self._named(INCLUDE, self.include, ids) if self.include else ids
        left = included - self._named(EXCLUDE, self.exclude, ids)
        if not left:
            raise InputError(f"{EXCLUDE}: no question is left of {len(included)}")
        return [question for question in questions if question.question_id in left]

    @staticmethod
    def _named(option: str, paths: Iterable[Path], ids: set[str]) -> set[str]:
        found: set[str] = set()
        for path in paths:
            named = read_question_ids(path, option) & ids
            if not named:
                raise InputError(f"{option} {path}: names none of the {len(ids)} questions")
            found |= named
        return found


def read_question_ids(path: Path, option: str) -> frozenset[str]:
    """The ids that a file names; raises ``InputError`` if it cannot be read, or is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{option} {path}: cannot be read as JSON ({error})") from None
    items = found.get("items") if isinstance(found, dict) else found
    if not isinstance(items, list) or not items:
        raise InputError(f"{option} {path}: names no question; it should be {FORM}")
    ids = [_id(item) for item in items]
    if None in ids:
        raise InputError(
            f"{option} {path}: entry {ids.index(None) + 1} has no question_id; it should be {FORM}"
        )
    return frozenset(one for one in ids if one is not None)


def _id(item: object) -> str | None:
    """The id of an entry, a number as it is written; None if it has none."""
    if isinstance(item, dict):
        item = item.get("question_id", item.get("id"))
    if isinstance(item, bool) or not isinstance(item, str | int):
        return None
    return str(item).strip() or None
