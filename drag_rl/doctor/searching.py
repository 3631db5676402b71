"""Whether searches find what they should, how long they take, and whether two can be put together."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from statistics import fmean, median

from drag_rl.doctor.check import Doubt
from drag_rl.errors import InputError
from drag_rl.protocol import SearchScope
from drag_rl.retrieval.base import Query, Ranking, Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.retrieval.combine.methods import combine
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Question, best_rank, within

SAMPLE = 20
"""Searches that are timed."""
GOLD_SAMPLE = 200
"""Gold pages that are looked for."""
RAREST_WORDS = 8
"""Words of a query made from a page's own text."""
DEPTH = 100
"""Pages of each of two queries that are put together."""
EASY = 0.95
"""Where raw questions find more than this share, training has little to add."""


def spread(items: Sequence[str] | Sequence[Question], count: int) -> list[int]:
    """Places of up to ``count`` items, evenly over all of them.

    >>> spread("abcdefghij", 4)
    [0, 2, 5, 7]
    """
    return (
        [place * len(items) // count for place in range(count)]
        if len(items) > count
        else [*range(len(items))]
    )


def sample_queries(pages: PageTexts, asked: Sequence[Question], scope: SearchScope = "corpus") -> list[Query]:
    """Queries to try: questions, or where there are none the rarest words of pages."""
    if asked:
        chosen = [asked[place] for place in spread(asked, SAMPLE)]
        return question_queries(chosen, scope)
    ids = [pages.page_ids[place] for place in spread(pages.page_ids, SAMPLE)]
    return [Query(text=rarest_words(pages, page_id), track=(page_id,)) for page_id in ids]


def question_queries(asked: Sequence[Question], scope: SearchScope) -> list[Query]:
    """The words of each question as a query, in its document where ``scope`` says so."""
    return [
        Query(text=question.text, scope=question.searched_in(scope), track=question.gold_page_ids)
        for question in asked
    ]


def rarest_words(pages: PageTexts, page_id: str) -> str:
    """The words of a page that fewest pages hold, as written; empty where it has none that a search could use."""
    counts = {}
    for word in dict.fromkeys(re.findall(r"\w+", pages.text(page_id))):
        terms = pages.query_terms(word)
        if terms:
            counts[word] = min(map(pages.pages_with, terms))
    return " ".join(sorted(counts, key=lambda word: counts[word])[:RAREST_WORDS])


def samples(retriever: Retriever, queries: Sequence[Query], top_k: int) -> str | Doubt:
    """Search some queries one at a time and all at once: what they take, and whether they find the same.

    The first half is timed one at a time, the second at once: a retriever may know a query that it has answered before.
    """
    started = time.perf_counter()
    blocking(retriever.search([Query(text="a first search")], top_k))
    first_ms = (time.perf_counter() - started) * 1000
    half = (len(queries) + 1) // 2
    alone, times_ms = [], []
    for query in queries[:half]:
        started = time.perf_counter()
        alone += blocking(retriever.search([query], top_k))
        times_ms.append((time.perf_counter() - started) * 1000)
    batch = queries[half:] or queries
    started = time.perf_counter()
    blocking(retriever.search(batch, top_k))
    batch_ms = (time.perf_counter() - started) * 1000 / len(batch)
    for query in queries[half:]:
        alone += blocking(retriever.search([query], top_k))
    together = blocking(retriever.search(queries, top_k))
    found = (
        f"{len(queries)} queries, one at a time {median(times_ms):.1f} ms each (the slowest {max(times_ms):.1f} ms), "
        f"all at once {batch_ms:.1f} ms each; the very first took {first_ms:.0f} ms"
    )
    if not any(ranking.hits for ranking in alone):
        raise InputError(f"{found}; none finds any page: is the index of the questions' language?")
    other = sum(_found(one) != _found(two) for one, two in zip(alone, together, strict=True))
    if other:
        return Doubt(
            f"{found}; {other} of them find other pages in a batch than alone, so rewards depend on chance"
        )
    empty = sum(not ranking.hits for ranking in alone)
    if empty:
        return Doubt(
            f"{found}; {empty} of them find no page at all: is the index of the questions' language?"
        )
    return found


def union_and_intersection(retriever: Retriever, queries: Sequence[Query]) -> str | Doubt:
    """Put the pages of two queries together, as union and as intersection."""
    one, two = (
        [(retriever.pages.row(hit.page_id), hit.score) for hit in ranking.hits]
        for ranking in blocking(retriever.search(queries[:2], DEPTH))
    )
    union, both = combine([one, two], "union"), combine([one, two], "intersection")
    found = (
        f"two queries find {len(one)} and {len(two)} pages (of up to {DEPTH} each): {len(union)} in their union, "
        f"{len(both)} in their intersection"
    )
    if len(union) + len(both) != len(one) + len(two):
        return Doubt(f"{found}; the same page is found twice by one query")
    return found


def gold_reachable(retriever: Retriever, asked: Sequence[Question]) -> str | Doubt:
    """Look for gold pages by the rarest words of their own text: what even that cannot find, no policy will.

    A page without a text, which an index of page images may find, is looked for by its question.
    """
    texts = {page_id: question.text for question in asked for page_id in question.gold_page_ids}
    gold = list(texts)
    chosen = [gold[place] for place in spread(gold, GOLD_SAMPLE)]
    pages = retriever.pages
    own = {page_id: rarest_words(pages, page_id) for page_id in chosen}
    queries = [Query(text=own[page_id] or texts[page_id], track=(page_id,)) for page_id in chosen]
    by = "by the rarest words of their own text" + (
        "" if all(own.values()) else ", or by their question where they have none"
    )
    rankings = blocking(retriever.search(queries, 0))
    ranks = [ranking.tracked[0] for ranking in rankings]
    lost = [page_id for page_id, rank in zip(chosen, ranks, strict=True) if rank is None]
    of_all = (
        f"{len(chosen)} of {len(gold)} gold pages" if len(chosen) < len(gold) else f"{len(gold)} gold pages"
    )
    if len(lost) == len(chosen):
        raise InputError(
            f"none of {of_all} is found {by} ({lost[0]} is one): have these pages a "
            "text? drag ingest --ocr auto reads scanned ones"
        )
    firsts = sum(rank == 1 for rank in ranks)
    if lost:
        return Doubt(
            f"{len(lost)} of {of_all} are not found {by} ({lost[0]} is one): no "
            "reward can be earned for them; read scans with drag ingest --ocr auto, or leave their questions out"
        )
    return f"{of_all} are found {by}, {firsts} of them first"


def raw_question(
    asked: Sequence[Question], retriever: Retriever, top_k: int, scope: SearchScope = "corpus"
) -> str | Doubt:
    """How often the question itself, as the query, finds a gold page: what a trained policy has to beat."""
    rankings = blocking(retriever.search(question_queries(asked, scope), top_k))
    hits = fmean(within(best_rank(ranking.tracked), top_k) for ranking in rankings)
    found = f"finds the gold page in the top {top_k} for {hits:.1%} of the questions"
    if hits > EASY:
        return Doubt(f"{found}; there is little to learn: ask harder questions, or lower drag.episode.top_k")
    if hits == 0:
        return Doubt(f"{found}: do questions and pages belong together, and are they of one language?")
    return found


def _found(ranking: Ranking) -> tuple[object, ...]:
    return tuple(hit.page_id for hit in ranking.hits), ranking.tracked
