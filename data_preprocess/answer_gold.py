"""Gold pages of questions that come with answers alone, or with titles of the articles that support them.

A reward for ranks needs pages that are right. Where a row names supporting sentences, as HotpotQA does, its gold pages
are those that hold them. Else gold are pages that hold an answer *and* are about the question: an answer such as
``1969`` stands on many pages by chance. How much a page is about a question is the sum of the inverse document
frequencies of the question's terms that stand on it, answers' own words apart. Pages with less than half of the best
page's sum are not gold, and at most :data:`MAX_GOLD` are. All of them count the same. Answers that stand on very many
pages are not looked for.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from data_preprocess.answer_index import AnswerIndex
from data_preprocess.bad_rows import DroppedRows
from data_preprocess.open_questions import Fact, OpenQuestion
from data_preprocess.written_pages import WrittenPages
from drag_rl.retrieval.stopwords import STOPWORDS
from drag_rl.retrieval.tokenizer import Tokenizer

MAX_GOLD = 20
"""Gold pages of a question, at most."""
MIN_SHARE = 0.5
"""Of the best page's sum, for a page that holds an answer to be gold."""
MIN_SENTENCE = 0.5
"""Share of a supporting sentence's terms that its page must have."""
SAMPLED_GROUPS = 24
"""Row groups (of 2,048 pages) that document frequencies are estimated from."""
COMMON_PAGES, COMMON_SHARE = 20, 0.02
"""An answer that stands on more of the sampled pages than both of these is too common to say which page is right."""

Candidate = tuple[float, int]
"""How well a page fits, and its place in the file, negative: of equals the first is the best."""


@dataclass(slots=True)
class GoldFinder:
    """Finds the gold pages of all questions in one reading of the pages."""

    questions: Sequence[OpenQuestion]
    rows: DroppedRows
    by_answers: bool = True
    """Whether pages that hold an answer are gold where no supporting fact is found."""
    _index: AnswerIndex = field(default_factory=AnswerIndex)
    _titles: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Title, as compared -> number of the question and of its fact."""
    _terms: list[frozenset[str]] = field(default_factory=list)
    """What each question is about."""
    _answered: dict[int, list[Candidate]] = field(default_factory=dict)
    """Number of the question -> heap of the best pages with an answer."""
    _supported: dict[tuple[int, int], Candidate] = field(default_factory=dict)
    """Number of the question and of its fact -> the best page."""
    _tokenizer: Tokenizer = field(default_factory=lambda: Tokenizer(stopwords=STOPWORDS["en"]))

    def find(self, pages: WrittenPages) -> list[tuple[str, ...]]:
        """The gold pages of each question, those that fit best first; none where none is found."""
        for number, question in enumerate(self.questions):
            own = frozenset(self._tokenizer.terms(question.text))
            answers = {term for answer in question.answers for term in self._tokenizer.terms(answer)}
            self._terms.append(own - answers or own)
            for place, fact in enumerate(question.facts):
                self._titles.setdefault(_as_compared(fact.title), []).append((number, place))
            if self.by_answers:
                self._index.add(number, question.answers)
        rarity = self._rarity(pages)
        for place, text in enumerate(pages.texts()):
            self._look_at(-place, text, rarity)
        chosen = [self._chosen(number, question) for number, question in enumerate(self.questions)]
        wanted = {place for own in chosen for place in own}
        named = {place: page_id for place, page_id in enumerate(pages.ids()) if place in wanted}
        return [tuple(dict.fromkeys(named[place] for place in own)) for own in chosen]

    def _rarity(self, pages: WrittenPages) -> dict[str, float]:
        """Term of a question -> ``ln(1 + N / (n + 1))``, of N sampled pages n of which have it.

        Answers that are too common are not looked for afterwards: one that stands on every tenth page would be compared
        with all of these for all the questions that it answers.
        """
        wanted = frozenset().union(*self._terms)
        counts: Counter[str] = Counter()
        answers: Counter[str] = Counter()
        step = max(1, pages.groups // SAMPLED_GROUPS)
        total = 0
        for text in pages.texts(range(0, pages.groups, step)):
            total += 1
            counts.update(wanted.intersection(self._tokenizer.terms(text)))
            answers.update(self._index.answers_in(text))
        common = [
            answer for answer, count in answers.items() if count > max(COMMON_PAGES, COMMON_SHARE * total)
        ]
        self._index.forget(common)
        if common:
            self.rows.counts["answers_too_common"] += len(common)
        return {term: math.log1p(total / (counts[term] + 1)) for term in wanted}

    def _look_at(self, place: int, text: str, rarity: dict[str, float]) -> None:
        """Take a page where it is among the best for a question or a fact."""
        facts = self._titles.get(_as_compared(text.partition("\n")[0]), [])
        asked = self._index.found_in(text)
        if not (facts or asked):
            return
        terms = frozenset(self._tokenizer.terms(text))
        for number in asked:
            fit = math.fsum(rarity[term] for term in self._terms[number] & terms)
            if fit > 0:
                heap = self._answered.setdefault(number, [])
                (heapq.heappush if len(heap) < MAX_GOLD else heapq.heappushpop)(heap, (fit, place))
        for number, fact in facts:
            fit = self._fit(self.questions[number].facts[fact], number, terms)
            if fit >= MIN_SENTENCE:
                self._supported[number, fact] = max(
                    self._supported.get((number, fact), (0.0, 0)), (fit, place)
                )

    def _fit(self, fact: Fact, number: int, terms: frozenset[str]) -> float:
        """The share of a supporting sentence's terms on a page; without the sentence the article itself is enough, and
        the page that has most of the question is its best."""
        sentence = frozenset(self._tokenizer.terms(fact.sentence))
        if sentence:
            return len(sentence & terms) / len(sentence)
        own = self._terms[number]
        return MIN_SENTENCE + len(own & terms) / (len(own) + 1)

    def _chosen(self, number: int, question: OpenQuestion) -> list[int]:
        """The places of a question's gold pages in the file, the best first."""
        found = [self._supported.get((number, fact)) for fact in range(len(question.facts))]
        supported = sorted(filter(None, found), reverse=True)
        if supported:
            if lost := len(found) - len(supported):
                self.rows.counts["supporting_facts_not_found"] += lost
            return [-place for _, place in supported][:MAX_GOLD]
        best = sorted(self._answered.get(number, []), reverse=True)
        return [-place for fit, place in best if fit >= MIN_SHARE * best[0][0]]


@cache
def _as_compared(title: str) -> str:
    return " ".join(title.casefold().split())
