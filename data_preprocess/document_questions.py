"""One document's questions, and its pages without the headings and sentences that the questions were made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from data_preprocess.generic import too_generic
from data_preprocess.index_terms import read_index
from data_preprocess.kinds import Kind
from data_preprocess.outline import (
    Heading,
    covered_pages,
    in_running_head,
    read_outline,
    running_head_tops,
)
from data_preprocess.page_kinds import Listing, listing_pages
from data_preprocess.printed import (
    Place,
    Span,
    Word,
    cut_spans,
    key_of,
    printed_at,
    standing_alone,
    words_of_pdf,
    words_of_text,
)
from data_preprocess.sentences import askable_sentences
from drag_rl.corpus.redactions import Box
from drag_rl.splits import draw
from drag_rl.types import Page, Question

MAX_GOLD_PAGES = 8
"""A heading or term that covers more pages is not asked: almost any query would find one of them."""

FAQ_MIN_QUESTIONS, FAQ_SHARE = 10, 0.3
"""A document is a list of questions if its outline has this many of them, and this share; then only those are asked."""

BOX_PAD_PT = 1.5
"""Points by which a box is enlarged, as letters reach a little out of it."""

MENTION_WORDS = 4
"""A title of so many words is removed wherever a gold page has it, as in a cross-reference; fewer may be plain text."""

HEAD_KEY_CHARS = 20
"""A running head that shows this many characters of a title gives it away."""


class Find(Protocol):
    """Finds where something is printed: the words of each place."""

    def __call__(self, words: Sequence[Word[Place]], key: str) -> list[Sequence[Word[Place]]]:
        """``key`` is :func:`data_preprocess.printed.key_of` what is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentQuestions:
    """The questions of one document, and how its pages change."""

    questions: tuple[Question, ...]
    dropped: Counter[str]
    """How many candidates were not made questions, by reason."""
    listings: dict[int, Listing]
    """The 1-based pages that only list where things are."""
    texts: dict[int, str]
    """Page number -> its text without the headings and sentences asked, for the pages that have changed."""
    redactions: dict[int, list[Box]]
    """Page number -> the boxes where those are printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceOptions:
    """How many sentences of a document are asked, and in which language they are."""

    limit: int = 0
    """Sentences of a document, at most, each from another page; 0 means none."""
    language: str = "en"
    """Language of the document, as an ISO 639-1 code."""


def read_document(
    document: Any,
    pages: Sequence[Page],
    sentences: SentenceOptions,
    seed: int,
    *,
    left_out: Collection[int] = (),
    on_page: Callable[[int], None] = lambda _number: None,
) -> DocumentQuestions:
    """The questions of an open ``pymupdf.Document`` whose pages are ``pages``, in page order.

    Neither failed pages nor those that are ``left_out``, by their 1-based numbers, are touched or asked. ``on_page`` is
    told the number of each page before it is read, and 0 before all of them are looked at together.

    Ids are ``<doc>/<kind>/<position>``, the same however many others are dropped; a sentence's position is its page.
    """
    readable = [page for page in pages if page.status == "ok" and page.page_number not in left_out]
    texts = {page.page_number: page.text for page in readable}
    words: dict[int, list[Word[Box]]] = {}
    for page in readable:
        on_page(page.page_number)
        words[page.page_number] = words_of_pdf(document[page.page_number - 1])
    on_page(0)
    headings = read_outline(document)
    listings = listing_pages(document, texts, headings)
    words_by_page = [words.get(page.page_number, []) for page in pages]
    reader = _Reader(pages[0].doc_id, headings, words_by_page, texts, listings)
    reader.read_headings()
    if not reader.is_faq:
        terms = read_index(document, [number for number, kind in listings.items() if kind == "index"])
        for position, term in enumerate(terms):
            reader.add(Kind.INDEX, position, term.term, term.page_numbers)
        reader.read_sentences(sentences, seed)
    new_texts, redactions = reader.without_questions()
    return DocumentQuestions(
        questions=tuple(reader.questions),
        dropped=reader.dropped,
        listings=listings,
        texts=new_texts,
        redactions=redactions,
    )


class _Reader:
    """The work on one document."""

    def __init__(
        self,
        doc_id: str,
        headings: Sequence[Heading],
        words_by_page: Sequence[Sequence[Word[Box]]],
        texts: dict[int, str],
        listings: dict[int, Listing],
    ) -> None:
        asked = sum(heading.title.endswith("?") for heading in headings)
        self.is_faq = asked >= max(FAQ_MIN_QUESTIONS, FAQ_SHARE * len(headings))
        self.questions: list[Question] = []
        self.dropped: Counter[str] = Counter()
        self._doc_id = doc_id
        self._headings = headings
        self._words = words_by_page
        self._texts = texts
        self._listings = listings
        self._head_tops = running_head_tops(words_by_page)
        self._asked: list[tuple[Heading, list[int]]] = []
        """Headings that are asked, with the numbers of their gold pages."""
        self._sentences: list[tuple[int, str]] = []

    def read_headings(self) -> None:
        """Make each outline entry a question, or count why not."""
        keys = Counter(key_of(heading.title) for heading in self._headings)
        for position, heading in enumerate(self._headings):
            if self.is_faq and not heading.title.endswith("?"):
                self.dropped["faq_no_question"] += 1
            elif keys[key_of(heading.title)] > 1:
                self.dropped["title_twice_in_document"] += 1
            elif not self._is_printed(heading):
                self.dropped["title_not_printed"] += 1
            else:
                covered = covered_pages(self._headings, position, self._words, self._head_tops)
                kind = Kind.FAQ if self.is_faq else Kind.OUTLINE
                if gold := self.add(kind, position, heading.title, covered):
                    self._asked.append((heading, gold))

    def read_sentences(self, options: SentenceOptions, seed: int) -> None:
        """Ask one sentence of each of some pages, all drawn by the seed."""
        if not options.limit:
            return
        keys = [key_of(text) for text in self._texts.values()]
        numbers = sorted(self._texts, key=lambda number: draw(seed, f"{self._doc_id}#{number}"))
        for number in numbers:
            if len(self._sentences) == options.limit:
                return
            candidates = askable_sentences(self._texts[number], options.language)
            for sentence in sorted(candidates, key=lambda text: draw(seed, text)):
                key = key_of(sentence)
                if (
                    sum(page.count(key) for page in keys) > 1
                    or len(printed_at(self._words[number - 1], key)) != 1
                ):
                    self.dropped["sentence_twice_or_not_printed"] += 1
                elif self.add(Kind.SENTENCE, number, sentence, [number]):
                    self._sentences.append((number, key))
                    break

    def add(self, kind: Kind, position: int, text: str, page_numbers: Sequence[int]) -> list[int]:
        """Add a question of some kind, or count why not; the numbers of its gold pages, none if it was not added."""
        gold = [number for number in page_numbers if number in self._texts and number not in self._listings]
        reason = too_generic(text, kind)
        if not reason and not gold:
            reason = "no_gold_page_in_pool"
        if not reason and len(gold) > MAX_GOLD_PAGES:
            reason = "too_many_pages"
        if reason:
            self.dropped[f"{kind}_{reason}"] += 1
            return []
        self.questions.append(
            Question(
                question_id=f"{self._doc_id}/{kind}/{position:04d}",
                text=text,
                gold_page_ids=tuple(f"{self._doc_id}#{number}" for number in gold),
                data_source=kind.value,
            )
        )
        return gold

    def without_questions(self) -> tuple[dict[int, str], dict[int, list[Box]]]:
        """The pages' texts without what is asked, and the boxes to blank in their images."""
        spans: dict[int, list[Span]] = {}
        boxes: dict[int, list[Box]] = {}
        for heading, gold in self._asked:
            key = key_of(heading.title)
            self._cut(heading.page_number, key, standing_alone, spans, boxes)
            if len(heading.title.split()) >= MENTION_WORDS:
                for number in gold:
                    self._cut(number, key, _mentions, spans, boxes)
        for number, key in self._sentences:
            self._cut(number, key, _mentions, spans, boxes)
        titles = [key_of(heading.title) for heading, _ in self._asked]
        for number in self._texts:
            head = [word for word in self._words[number - 1] if in_running_head(word, self._head_tops)]
            head_key = "".join(word.key for word in sorted(head, key=lambda word: word.place[0]))
            if any(
                title[:HEAD_KEY_CHARS] in head_key for title in titles if len(title) >= HEAD_KEY_CHARS // 2
            ):
                boxes.setdefault(number, []).extend(_line_boxes(head))
                spans.setdefault(number, []).extend(_head_spans(self._texts[number], head_key))
        texts = {number: cut_spans(self._texts[number], found) for number, found in spans.items()}
        return texts, boxes

    def _cut(
        self, number: int, key: str, find: Find, spans: dict[int, list[Span]], boxes: dict[int, list[Box]]
    ) -> None:
        """Add the spans of a page's text and the boxes of its image where something is found."""
        for found in find(words_of_text(self._texts[number]), key):
            spans.setdefault(number, []).append((found[0].place[0], found[-1].place[1]))
        for printed in find(self._words[number - 1], key):
            boxes.setdefault(number, []).extend(_line_boxes(printed))

    def _is_printed(self, heading: Heading) -> bool:
        key, number = key_of(heading.title), heading.page_number
        text = self._texts.get(number, "")
        return bool(standing_alone(words_of_text(text), key) and standing_alone(self._words[number - 1], key))


def _mentions(words: Sequence[Word[Place]], key: str) -> list[Sequence[Word[Place]]]:
    """Each place where something is printed, in running text too, as a cross-reference is."""
    return [words[first : last + 1] for first, last in printed_at(words, key)]


def _line_boxes(words: Sequence[Word[Box]]) -> list[Box]:
    """One box a line around some words."""
    lines: dict[int, Box] = {}
    for word in words:
        x0, y0, x1, y1 = lines.get(word.line, word.place)
        a0, b0, a1, b1 = word.place
        lines[word.line] = (min(x0, a0), min(y0, b0), max(x1, a1), max(y1, b1))
    pad = BOX_PAD_PT
    return [(max(0.0, x0 - pad), max(0.0, y0 - pad), x1 + pad, y1 + pad) for x0, y0, x1, y1 in lines.values()]


def _head_spans(text: str, head_key: str) -> list[Span]:
    """The lines among the first three of a page's text that make up its running head."""
    spans, offset = [], 0
    for line in text.splitlines(keepends=True)[:3]:
        key = key_of(line)
        if key and (key in head_key or head_key in key):
            spans.append((offset, offset + len(line.rstrip("\n"))))
        offset += len(line)
    return spans
