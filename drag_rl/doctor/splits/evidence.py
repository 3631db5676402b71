"""What the pages say of the questions, gathered while they go by once: only what is found is kept, not the pages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from drag_rl.corpus.copies import words_key
from drag_rl.doctor.splits.asked import Asked
from drag_rl.doctor.splits.corpus import CorpusPage
from drag_rl.metrics.answers import normalise
from drag_rl.min_hash import Sketches

MIN_WORDS, MIN_CHARS = 4, 12
"""A question of fewer words or characters stands on pages by chance."""
NOT_WRITTEN = frozenset({"yes", "no", "true", "false"})
"""Answers that are concluded from a page, and do not stand there."""
MAX_DIGITS = 24
"""A number of more characters is none that anybody would answer."""

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


PagePair = tuple[Asked, str, Asked, str]
"""Gold pages of two files, each after a question that it answers."""


class Evidence:
    """What has been found of the questions' gold pages."""

    def __init__(self, asked: Sequence[Asked], *, texts: bool = True) -> None:
        """The questions of all files; without ``texts`` only whether their gold is there is looked at."""
        self.documents: set[str] = set()
        """The documents that have pages."""
        self.failed: dict[str, str] = {}
        """Gold pages that could not be read, and why."""
        self.found: set[str] = set()
        """Gold pages that are there, failed ones too."""
        self.judged: set[Asked] = set()
        """Questions of which a gold page has a text."""
        self.answered: set[Asked] = set()
        """Those with an answer that stands on one of their gold pages."""
        self.verbatim: dict[Asked, str] = {}
        """Questions that stand, word for word, on a gold page: which one."""
        self.copied_pages: list[PagePair] = []
        """Gold pages of two files that have the same words: each after a question that it answers."""
        self.near_pages: list[PagePair] = []
        """The same of gold pages of other documents in nearly the same words; see :meth:`compare_pages`."""
        self._texts = texts
        self._askers: dict[str, list[Asked]] = defaultdict(list)
        for one in asked:
            for page_id in one.question.gold_page_ids:
                self._askers[page_id].append(one)
        self._by_words: dict[str, dict[Path, tuple[Asked, str]]] = defaultdict(dict)
        self._sketched: list[tuple[str, str]] = []
        """Id and words of each gold page that has enough of these, in the order of the sketches."""
        self._sketches = Sketches()

    def watch(self, pages: Iterable[CorpusPage]) -> Iterator[CorpusPage]:
        """The same pages, looked at as they go by; failed ones are left out."""
        for page in pages:
            self.documents.add(page.doc_id)
            askers = self._askers.get(page.page_id)
            if askers:
                self.found.add(page.page_id)
                if page.failed:
                    self.failed[page.page_id] = page.failed
                elif self._texts:
                    self._look(page, askers)
            if not page.failed:
                yield page

    def _look(self, page: CorpusPage, askers: Sequence[Asked]) -> None:
        self._compare(page, askers)
        if not page.text.strip():
            return
        words = f" {normalise(page.text)} "
        numbers: set[Decimal] | None = None
        for one in askers:
            self.judged.add(one)
            wanted = [answer for answer in one.question.answers if answer.strip()]
            values = {value for answer in wanted if (value := number_in(answer)) is not None}
            if values and numbers is None:
                numbers = numbers_of(page.text)
            if values & (numbers or set()) or any(
                f" {normalise(answer)} " in words for answer in wanted if number_in(answer) is None
            ):
                self.answered.add(one)
            text = normalise(one.question.text)
            if len(text.split()) >= MIN_WORDS and len(text) >= MIN_CHARS and f" {text} " in words:
                self.verbatim.setdefault(one, page.page_id)

    def _compare(self, page: CorpusPage, askers: Sequence[Asked]) -> None:
        key = words_key(page.text)
        if not key:
            return
        self._sketched.append((page.page_id, key))
        self._sketches.add(page.text)
        known = self._by_words[key]
        for one in {asker.file: asker for asker in reversed(askers)}.values():
            for file, (other, page_id) in known.items():
                if file != one.file and page_id != page.page_id:
                    self.copied_pages.append((other, page_id, one, page.page_id))
        for one in askers:
            known.setdefault(one.file, (one, page.page_id))

    def compare_pages(self) -> None:
        """Find near duplicates among the gold pages that have been seen; pages of equal words are found already."""

        def apart(one: int, other: int) -> bool:
            (page_id, words), (other_id, other_words) = self._sketched[one], self._sketched[other]
            return (
                words != other_words
                and page_id.rpartition("#")[0] != other_id.rpartition("#")[0]
                and self._of_two_files(page_id, other_id) is not None
            )

        for one, other in self._sketches.near(apart):
            page_id, other_id = self._sketched[one][0], self._sketched[other][0]
            if askers := self._of_two_files(page_id, other_id):
                self.near_pages.append((askers[0], page_id, askers[1], other_id))

    def _of_two_files(self, page_id: str, other_id: str) -> tuple[Asked, Asked] | None:
        """Questions of two files that the pages answer; None if one file has all of them."""
        first, others = self._askers[page_id][0], self._askers[other_id]
        if other := next((asker for asker in others if asker.file != first.file), None):
            return first, other
        asker = next((asker for asker in self._askers[page_id] if asker.file != first.file), None)
        return (asker, others[0]) if asker else None


def number_in(answer: str) -> Decimal | None:
    """The value of an answer that is one number, whatever its unit's sign is; None for any other answer.

    >>> number_in("$1,234.50"), number_in("12%"), number_in("12 knots"), number_in("3-4")
    (Decimal('1234.5'), Decimal('12'), None, None)
    """
    found = _NUMBER.findall(answer)
    if (
        len(found) != 1
        or len(found[0]) > MAX_DIGITS
        or any(sign.isalnum() for sign in answer.replace(found[0], "", 1))
    ):
        return None
    return _value(found[0])


def numbers_of(text: str) -> set[Decimal]:
    """The values of the numbers in a text.

    >>> sorted(numbers_of("1,234.50 in 2019, 7 of 11"))
    [Decimal('7'), Decimal('11'), Decimal('1234.5'), Decimal('2019')]
    """
    return {_value(number) for number in _NUMBER.findall(text) if len(number) <= MAX_DIGITS}


def _value(number: str) -> Decimal:
    return Decimal(number.replace(",", "")).normalize()
