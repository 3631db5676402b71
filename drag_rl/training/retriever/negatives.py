"""Hard negatives of questions: well-ranked pages that are wrong, those that may be right left out.

From a ranking of the question the first pages are taken that are

1. no gold page of the question,
2. no near duplicate of one, by the words of their texts (:mod:`drag_rl.near_duplicates`),
3. not scored above a share of what the best gold page is: positive-aware mining (Moreira et al., 2024,
   *NV-Retriever*, "TopK-PercPos"). Where no gold page is ranked as deep as one looked, all that is ranked scores above
   it, so nothing is taken.

Several rankings take turns. A question that has too few is given pages drawn by the seed, by rules 1 and 2.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat, zip_longest

from drag_rl.errors import InputError
from drag_rl.near_duplicates import is_near, word_set
from drag_rl.types import Question

GOLD = "gold pages"
NEAR = "near duplicates of gold pages"
ABOVE = "pages scored like gold pages"
DRAWN = "drawn by the seed"
DRAWN_AT_MOST = 1000
"""Pages drawn for a question, of which the first that may be wrong are taken."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A page of a ranking."""

    page_id: str
    score: float


class Negatives:
    """Chooses hard negatives, and counts what it leaves out on the way."""

    def __init__(
        self,
        texts: Mapping[str, str],
        *,
        per_question: int,
        max_share: float,
        seed: int,
        can_be_shown: Callable[[str], bool] = lambda _page_id: True,
    ) -> None:
        """Set the rules; see ``NegativesOptions``.

        ``texts`` has all pages that may be chosen, by id; ``can_be_shown`` is asked of those that would be.
        """
        self._texts = texts
        self._can_be_shown = can_be_shown
        self._words: dict[str, frozenset[str]] = {}
        self._page_ids = [*texts]
        self._per_question = per_question
        self._max_share = max_share
        self._seed = seed
        self.counts: Counter[str] = Counter()
        """Negatives by where they come from, and pages left out on the way to them, by reason."""

    def choose(self, question: Question, rankings: Mapping[str, Sequence[Scored]]) -> list[str]:
        """The negatives of a question from its rankings by source, each best first: different pages, as many for all.

        Raises ``InputError`` where the corpus has fewer that may be wrong.
        """
        offers = [
            zip(self._offered(question, ranking), repeat(source)) for source, ranking in rankings.items()
        ]
        turns = filter(None, chain.from_iterable(zip_longest(*offers)))
        drawn = zip(self._drawn(question), repeat(DRAWN))
        taken: dict[str, str] = {}
        for page_id, source in chain(turns, drawn):
            if page_id not in taken and self._can_be_shown(page_id):
                taken[page_id] = source
            if len(taken) == self._per_question:
                break
        if len(taken) < self._per_question:
            raise InputError(
                f"negatives.per_question={self._per_question}: of question {question.question_id} only {len(taken)} "
                "pages can be wrong; ask for fewer"
            )
        self.counts.update(taken.values())
        return [*taken]

    def _offered(self, question: Question, ranking: Sequence[Scored]) -> Iterator[str]:
        gold = [page.score for page in ranking if page.page_id in question.gold_page_ids]
        for page in ranking:
            if page.page_id in question.gold_page_ids:
                self.counts[GOLD] += 1
            elif self._max_share and (not gold or page.score > _limit(max(gold), self._max_share)):
                self.counts[ABOVE] += 1
            elif page.page_id in self._texts and not self._is_near_gold(question, page.page_id):
                yield page.page_id

    def _is_near_gold(self, question: Question, page_id: str) -> bool:
        words = self._words_of(page_id)
        near = bool(words) and any(is_near(words, self._words_of(gold)) for gold in question.gold_page_ids)
        self.counts[NEAR] += near
        return near

    def _words_of(self, page_id: str) -> frozenset[str]:
        """The words of a page; none for a page without text, which is like no other."""
        if page_id not in self._words:
            text = self._texts[page_id]
            self._words[page_id] = word_set(text) if text.strip() else frozenset()
        return self._words[page_id]

    def _drawn(self, question: Question) -> Iterator[str]:
        """Pages that may be wrong, in an order that depends on the seed and the question alone."""
        draw = random.Random(f"{self._seed} {question.question_id}")
        for row in draw.sample(range(len(self._page_ids)), min(len(self._page_ids), DRAWN_AT_MOST)):
            page_id = self._page_ids[row]
            if page_id not in question.gold_page_ids and not self._is_near_gold(question, page_id):
                yield page_id


def _limit(gold: float, share: float) -> float:
    """The score above which a page is taken for gold; below the gold page's also where that is negative.

    >>> _limit(2.0, 0.95), _limit(-2.0, 0.95)
    (1.9, -2.1)
    """
    return gold - (1 - share) * abs(gold)
