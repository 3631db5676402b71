"""Whether a data set's page numbers count from where its reader believes: the page-base check.

Data sets count pages from 0, from 1, or as they are printed, and seldom say so. A question shares words with its gold
page, and fewer with the pages beside it; so each gold page is compared with the pages one before and one after it. On
MMLongBench-Doc the right base finds the gold page first for .30 of the questions, one off for .05.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from drag_rl.corpus.pages import AnyPage
from drag_rl.errors import InputError
from drag_rl.near_duplicates import word_set
from drag_rl.types import Question

OFFSETS = (-1, 0, 1)
MIN_QUESTIONS = 20
"""With fewer questions that can tell, nothing is refused."""
MIN_GAIN = 0.05
"""Another base is better if it finds so much more of the questions, and the difference is no chance."""
DEVIATIONS = 3.0
"""Standard deviations that a difference must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageBase:
    """How well each base fits the text."""

    questions: int
    """Questions of documents with three pages of text or more, that share a word with one of them."""
    found: Mapping[int, float]
    """Offset of the gold page -> share of the questions for which that page fits best in its document."""

    def better(self) -> int | None:
        """The offset that fits clearly better than none; None if there is no such."""
        best = max(OFFSETS, key=lambda offset: (self.found[offset], offset == 0))
        gain = self.found[best] - self.found[0]
        total = self.found[best] + self.found[0]
        chance = DEVIATIONS * math.sqrt(max(total - gain**2, 0.0) / max(self.questions, 1))
        clear = self.questions >= MIN_QUESTIONS and gain >= MIN_GAIN and gain > chance
        return best if clear else None

    def facts(self) -> dict[str, object]:
        """What a manifest says of it."""
        found = {f"{offset:+d}": round(share, 4) for offset, share in self.found.items()}
        return {"page_base": {"questions": self.questions, "found_at_offset": found}}


class AskedDocuments:
    """The words of each page of the documents that questions are asked of, taken while all pages go by."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        self.words: dict[str, dict[int, frozenset[str]]] = {
            doc_id: {} for question in questions for doc_id, _ in _gold(question)
        }
        """Document -> number of a page with text -> its words."""

    def watch(self, pages: Iterable[AnyPage]) -> Iterator[AnyPage]:
        """The same pages."""
        for page in pages:
            if page.text and page.doc_id in self.words:
                self.words[page.doc_id][page.page_number] = word_set(page.text)
            yield page


def check_page_base(name: str, asked: AskedDocuments) -> PageBase:
    """Compare the gold pages with their neighbours; raises ``InputError`` where another base fits clearly better."""
    base = page_base(asked)
    if offset := base.better():
        raise InputError(
            f"data set {name}: its page numbers are off by {offset:+d}: of {base.questions} questions "
            f"{base.found[0]:.0%} fit the gold page best, but {base.found[offset]:.0%} the page at {offset:+d}; is it "
            "another version of the data set than its reader knows?"
        )
    return base


def page_base(asked: AskedDocuments) -> PageBase:
    """How often the gold page, and the page before or after it, fits the question best among those of its document.

    A page's fit is the sum of the inverse document frequencies of the question's words that stand on it. Equals share.
    """
    rarity = {doc_id: _rarity(list(own.values())) for doc_id, own in asked.words.items() if len(own) >= 3}
    told = 0
    found = dict.fromkeys(OFFSETS, 0.0)
    for question in asked.questions:
        for doc_id, gold in _gold(question):
            if doc_id not in rarity:
                continue
            words = word_set(question.text)
            fits = {
                number: math.fsum(rarity[doc_id][word] for word in words & own)  # the same in any order
                for number, own in asked.words[doc_id].items()
            }
            best = max(fits.values())
            if best <= 0:
                continue
            told += 1
            winners = [number for number, fit in fits.items() if fit == best]
            for offset in OFFSETS:
                found[offset] += len(gold & {number - offset for number in winners}) / len(winners)
    return PageBase(questions=told, found={offset: total / max(told, 1) for offset, total in found.items()})


def _gold(question: Question) -> Iterator[tuple[str, set[int]]]:
    """Document and numbers of a question's gold pages."""
    of_document: dict[str, set[int]] = {}
    for page_id in question.gold_page_ids:
        doc_id, _, number = page_id.rpartition("#")
        of_document.setdefault(doc_id, set()).add(int(number))
    return iter(of_document.items())


def _rarity(pages: Sequence[frozenset[str]]) -> dict[str, float]:
    """Word -> ``ln((N + 1) / n)``, of N pages n of which have it."""
    counts = Counter(word for own in pages for word in own)
    return {word: math.log((len(pages) + 1) / count) for word, count in counts.items()}
