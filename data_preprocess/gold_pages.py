"""Gold pages that can be found: what of a data set's questions is left when its pages have been read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from data_preprocess.written_pages import WrittenPages
from drag_rl.errors import InputError
from drag_rl.splits import Split
from drag_rl.types import Page, Question

Splits = Mapping[Split, Sequence[Question]]


class GoldPages:
    """Looks for the gold pages of questions among those that were written; only what is asked for is kept."""

    def __init__(self, name: str, splits: Splits) -> None:
        """``name`` is the data set's."""
        self._name, self._splits = name, splits
        self.wanted = {page_id for own in splits.values() for one in own for page_id in one.gold_page_ids}
        """The ids of all gold pages."""
        self._failed: set[str] = set()
        self._found: set[str] = set()

    def watch(self, pages: Iterable[Page]) -> Iterator[Page]:
        """The same pages, on their way to a file. Raises ``InputError`` after the last for a gold page that is none."""
        for page in pages:
            self._look_at(page.page_id, page.status)
            yield page
        self._refuse_lost()

    def look_in(self, pages: WrittenPages) -> None:
        """Find them, if they were not watched; raises ``InputError`` for a gold page that is none of the pages."""
        if len(self._found) + len(self._failed) == len(self.wanted):
            return
        for page_id, status in pages.columns("page_id", "status"):
            self._look_at(page_id, status)
        self._refuse_lost()

    def _look_at(self, page_id: str, status: str) -> None:
        if page_id in self.wanted:
            (self._failed if status == "failed" else self._found).add(page_id)

    def readable(self) -> tuple[dict[Split, list[Question]], Counter[str]]:
        """The questions without gold pages that failed, and the counts of what that takes away."""
        dropped: Counter[str] = Counter()
        kept: dict[Split, list[Question]] = {}
        for split, questions in self._splits.items():
            kept[split] = []
            for question in questions:
                own = question if self._failed.isdisjoint(question.gold_page_ids) else self._left(question)
                dropped["gold_pages_that_failed"] += len(question.gold_page_ids) - len(
                    own.gold_page_ids if own else ()
                )
                if own:
                    kept[split].append(own)
                else:
                    dropped["questions_whose_gold_failed"] += 1
        return kept, +dropped

    def _left(self, question: Question) -> Question | None:
        """The question with the gold pages that did not fail; None if all did."""
        graded = zip(question.gold_page_ids, question.grades, strict=True)
        gold = {page_id: grade for page_id, grade in graded if page_id not in self._failed}
        return (
            replace(question, gold_page_ids=tuple(gold), gold_grades=tuple(gold.values())) if gold else None
        )

    def _refuse_lost(self) -> None:
        there = self._found | self._failed
        if len(there) == len(self.wanted):
            return
        for split, questions in self._splits.items():
            for question in questions:
                for page_id in question.gold_page_ids:
                    if page_id not in there:
                        raise InputError(
                            f"data set {self._name}: gold page {page_id!r} of {split} question "
                            f"{question.question_id!r} is not among its pages"
                        )
