"""Gold pages that can be found: what of a data set's questions is left when its pages have been read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from drag_rl.errors import InputError
from drag_rl.splits import Split
from drag_rl.types import Page, Question


def with_readable_gold(
    name: str, splits: Mapping[Split, Sequence[Question]], pages: Iterable[Page]
) -> tuple[dict[Split, list[Question]], Counter[str]]:
    """The questions without gold pages that failed, and the counts of what that takes away.

    Raises ``InputError``, with the ``name`` of the data set, for a gold page that is no page.
    """
    failed = {page.page_id: page.status == "failed" for page in pages}
    dropped: Counter[str] = Counter()
    kept: dict[Split, list[Question]] = {}
    for split, questions in splits.items():
        kept[split] = []
        for question in questions:
            if lost := [page_id for page_id in question.gold_page_ids if page_id not in failed]:
                raise InputError(
                    f"data set {name}: gold page {lost[0]!r} of {split} question {question.question_id!r} is not "
                    "among its pages"
                )
            gold = {
                page_id: grade
                for page_id, grade in zip(question.gold_page_ids, question.grades, strict=True)
                if not failed[page_id]
            }
            dropped["gold_pages_that_failed"] += len(question.gold_page_ids) - len(gold)
            if gold:
                kept[split].append(
                    replace(question, gold_page_ids=tuple(gold), gold_grades=tuple(gold.values()))
                )
            else:
                dropped["questions_whose_gold_failed"] += 1
    return kept, +dropped
