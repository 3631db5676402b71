"""Which pages hold an answer, or a supporting sentence, of which questions: the best of each, in one reading of all.

Pages are looked through in spans of the file, by several processes where there is more than one span, or by the nodes
of a Ray cluster. Each process has the questions for itself, and gives back the best pages of its spans only.
"""

from __future__ import annotations

import heapq
import math
import multiprocessing
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from socket import gethostname
from sys import intern
from typing import Any

from data_preprocess.answer_index import AnswerIndex
from data_preprocess.open_questions import OpenQuestion
from data_preprocess.written_pages import WrittenPages
from drag_rl.cluster import joined_ray, map_on_cluster
from drag_rl.errors import InputError
from drag_rl.retrieval.stopwords import STOPWORDS
from drag_rl.retrieval.tokenizer import Tokenizer

MAX_GOLD = 20
"""Gold pages of a question, at most."""
MIN_SENTENCE = 0.5
"""Share of a supporting sentence's terms that its page must have."""
SAMPLED_GROUPS = 24
"""Row groups (of 2,048 pages) that document frequencies are estimated from."""
SPAN_GROUPS = 16
"""Row groups that a process looks through at a time."""
COMMON_PAGES, COMMON_SHARE = 20, 0.02
"""An answer that stands on more of the sampled pages than both of these is too common to say which page is right."""

Candidate = tuple[float, int]
"""How well a page fits, and its place in the file, negative: of equals the first is the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What a sample of the pages tells."""

    rarity: dict[str, float]
    """Term of a question -> ``ln(1 + N / (n + 1))``, of N pages n of which have it."""
    answers: tuple[str, ...]
    """Answers, normalised, that are too common: one that stands on every tenth page would be compared with all of these
    for all the questions that it answers."""


@dataclass(frozen=True, slots=True)
class Matches:
    """The best pages of each question among those that were looked through."""

    answered: dict[int, list[Candidate]] = field(default_factory=dict)
    """Number of the question -> heap of the best pages with an answer."""
    supported: dict[tuple[int, int], Candidate] = field(default_factory=dict)
    """Number of the question and of its fact -> the best page."""

    def add_answered(self, number: int, page: Candidate) -> None:
        """Take a page with an answer if it is among the best."""
        heap = self.answered.setdefault(number, [])
        (heapq.heappush if len(heap) < MAX_GOLD else heapq.heappushpop)(heap, page)

    def add_supported(self, fact: tuple[int, int], page: Candidate) -> None:
        """Take a page with a supporting sentence if it is the best."""
        self.supported[fact] = max(self.supported.get(fact, page), page)

    def merge(self, other: Matches) -> None:
        """Take the pages of another."""
        for number, pages in other.answered.items():
            for page in pages:
                self.add_answered(number, page)
        for fact, page in other.supported.items():
            self.add_supported(fact, page)


class PageMatcher:
    """Compares pages with all questions at once."""

    def __init__(self, questions: Sequence[OpenQuestion], *, by_answers: bool) -> None:
        self._questions = questions
        self._tokenizer = Tokenizer(stopwords=STOPWORDS["en"])
        self._index = AnswerIndex()
        self._titles: dict[str, list[tuple[int, int]]] = {}
        self._terms: list[tuple[str, ...]] = []
        for number, question in enumerate(questions):
            own = dict.fromkeys(
                map(intern, self._tokenizer.terms(question.text))
            )  # a set takes six times as much
            answers = {term for answer in question.answers for term in self._tokenizer.terms(answer)}
            self._terms.append(tuple(term for term in own if term not in answers) or tuple(own))
            for place, fact in enumerate(question.facts):
                self._titles.setdefault(_as_compared(fact.title), []).append((number, place))
            if by_answers:
                self._index.add(number, question.answers)

    def sample(self, pages: WrittenPages) -> Common:
        """How common terms and answers are, in row groups that lie evenly in the file."""
        wanted = frozenset(term for own in self._terms for term in own)
        terms: Counter[str] = Counter()
        answers: Counter[str] = Counter()
        total = 0
        for text in pages.texts(range(0, pages.groups, max(1, pages.groups // SAMPLED_GROUPS))):
            total += 1
            terms.update(wanted.intersection(self._tokenizer.terms(text)))
            answers.update(self._index.answers_in(text))
        most = max(COMMON_PAGES, COMMON_SHARE * total)
        return Common(
            rarity={term: math.log1p(total / (terms[term] + 1)) for term in wanted},
            answers=tuple(sorted(answer for answer, count in answers.items() if count > most)),
        )

    def look_through(
        self, pages: WrittenPages, groups: Collection[int], first: int, common: Common
    ) -> Matches:
        """The best pages of some row groups, whose first page has the place ``first`` in the file."""
        self._index.forget(common.answers)
        matches = Matches()
        for place, text in enumerate(pages.texts(groups), start=first):
            facts = self._titles.get(_as_compared(text.partition("\n")[0]), [])
            asked = self._index.found_in(text)
            if not (facts or asked):
                continue
            terms = frozenset(self._tokenizer.terms(text))
            for number in asked:
                fit = math.fsum(common.rarity[term] for term in self._terms[number] if term in terms)
                if fit > 0:
                    matches.add_answered(number, (fit, -place))
            for fact in facts:
                fit = self._support(fact, terms)
                if fit >= MIN_SENTENCE:
                    matches.add_supported(fact, (fit, -place))
        return matches

    def _support(self, fact: tuple[int, int], terms: frozenset[str]) -> float:
        """The share of a supporting sentence's terms on a page; without the sentence the article itself is enough, and
        the page that has most of the question is its best."""
        number, place = fact
        sentence = frozenset(self._tokenizer.terms(self._questions[number].facts[place].sentence))
        if sentence:
            return len(sentence & terms) / len(sentence)
        own = self._terms[number]
        return MIN_SENTENCE + len(terms.intersection(own)) / (len(own) + 1)


def match_pages(
    questions: Sequence[OpenQuestion], pages: WrittenPages, *, by_answers: bool, workers: int | None
) -> tuple[Matches, Common]:
    """The best pages of each question, the same however many ``workers`` look through the file; None: a Ray cluster,
    whose nodes then see the file, by the same path."""
    matcher = PageMatcher(questions, by_answers=by_answers)
    common = matcher.sample(pages)
    spans = list(_spans(pages))
    told = (WrittenPages(pages.folder.absolute()), list(questions), by_answers, common)
    found = Matches()
    with ExitStack() as stack:
        if workers is None:
            shared = joined_ray("--ray").put(told)
            items = ((shared, *span) for span in spans)
            several = map_on_cluster(_look_through_there, items, "pages cannot be looked through")
        elif min(workers, len(spans)) > 1:
            pool = ProcessPoolExecutor(
                min(workers, len(spans)),
                mp_context=multiprocessing.get_context("forkserver"),
                initializer=_start,
                initargs=told,
            )
            several = stack.enter_context(pool).map(_look_through, *zip(*spans, strict=True))
        else:
            several = (matcher.look_through(pages, *span, common) for span in spans)
        for matches in several:
            found.merge(matches)
    return found, common


def _spans(pages: WrittenPages) -> Iterator[tuple[range, int]]:
    """Row groups, and the place of their first page."""
    starts = pages.starts()
    ends = [*range(0, len(starts), SPAN_GROUPS), len(starts)]
    return ((range(first, end), starts[first]) for first, end in pairwise(ends))


_worker: tuple[PageMatcher, WrittenPages, Common]
"""What a process of the pool works with."""


def _start(pages: WrittenPages, questions: Sequence[OpenQuestion], by_answers: bool, common: Common) -> None:
    global _worker
    _worker = PageMatcher(questions, by_answers=by_answers), pages, common


def _look_through(groups: range, first: int) -> Matches:
    matcher, pages, common = _worker
    return matcher.look_through(pages, groups, first, common)


def _look_through_there(work: tuple[Any, range, int]) -> Matches:
    """The same in a Ray task: the questions lie in Ray's store, and are made ready once in a process."""
    shared, groups, first = work
    _start_once(shared)
    if not _worker[1].file.exists():
        raise InputError(
            f"on node {gethostname()}, there is no {_worker[1].file}: with --ray, --out-pages must lie where all nodes "
            "see it, by the same path"
        )
    return _look_through(groups, first)


@lru_cache(maxsize=1)
def _start_once(shared: Any) -> None:
    _start(*joined_ray("--ray").get(shared))


def _as_compared(title: str) -> str:
    return " ".join(title.casefold().split())
