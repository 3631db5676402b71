"""Pseudo-relevance feedback: the pages of one search suggest the words of the next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Hit

QUERY_WEIGHT = 0.5
"""What the question's own words weigh, in [0, 1]."""
FEEDBACK_TERMS = 10
"""Terms that the pages suggest, at most."""
COMMON = 0.1
COMMON_PAGES = 3
"""A term on more than this share of all pages, and on more pages than this, is not suggested."""
TERM_CHARS = range(2, 21)
"""Lengths of terms that may be suggested."""


def relevance_model(
    pages: Sequence[tuple[Mapping[str, int], float]], question: Sequence[str], terms: int
) -> dict[str, float]:
    """RM3: term -> weight, heaviest first, summing to 1 (Lavrenko and Croft 2001; Abdul-Jaleel et al. 2004).

    ``P(w|RM3) = a P(w|Q) + (1 - a) P(w|R)`` with ``a`` = QUERY_WEIGHT, ``P(w|Q)`` the share of the question's terms,
    and ``P(w|R) = sum over pages of P(w|d) P(d|Q)``, cut to its ``terms`` most probable terms and scaled to sum to 1.
    ``P(w|d)`` is the share of the page's terms. ``P(d|Q)`` is the query likelihood in the papers; here it is the share
    of the BM25 scores, as BM25+RM3 baselines have it.

    Args:
        pages: Of each page the counts of its terms that may be suggested, and its score.
        question: The terms of the question, repeats kept.
        terms: How many terms the pages may suggest.

    >>> relevance_model([({"seal": 3, "pump": 1}, 2.0)], ["pump"], terms=2)
    {'pump': 0.625, 'seal': 0.375}
    """
    total = sum(score for _, score in pages)
    suggested: dict[str, float] = defaultdict(float)
    for counts, score in pages:
        length = sum(counts.values())
        for term, count in counts.items():
            suggested[term] += count / length * score / total
    kept = sorted(suggested.items(), key=lambda item: (-item[1], item[0]))[:terms]
    mass = sum(weight for _, weight in kept)
    weights: dict[str, float] = defaultdict(float)
    for term, weight in kept:
        weights[term] += (1 - QUERY_WEIGHT) * weight / mass
    for term in question:
        weights[term] += QUERY_WEIGHT / len(question)
    return dict(sorted(weights.items(), key=lambda item: (-item[1], item[0])))


def feedback_query(texts: PageTexts, question: str, hits: Sequence[Hit], max_chars: int) -> str:
    """The question's and the hits' words, each as often as its RM3 weight asks for; empty without hits.

    A query carries no weights, so the lightest word is written once and the others as many times as they outweigh
    it, rounded. As many terms of the pages take part as fit into ``max_chars`` (0 means no limit).
    """
    surface: dict[str, Counter[str]] = defaultdict(Counter)
    asked = _terms(texts, question, surface)
    pages = [(_suggested(texts, texts.text(hit.page_id), surface), hit.score) for hit in hits]
    pages = [(counts, score) for counts, score in pages if counts]
    if not pages or not asked:
        return ""
    for terms in range(FEEDBACK_TERMS, 0, -1):
        weights = relevance_model(pages, asked, terms)
        lightest = min(weights.values())
        query = " ".join(
            word
            for term, weight in weights.items()
            for word in [surface[term].most_common(1)[0][0]] * round(weight / lightest)
        )
        if not max_chars or len(query) <= max_chars:
            return query
    return ""


def _terms(texts: PageTexts, text: str, surface: dict[str, Counter[str]]) -> list[str]:
    """The terms of a text; counts, for each, the words that stand for it."""
    found = []
    for _, word, term in texts.tokenizer.spans(text):
        surface[term][word] += 1
        found.append(term)
    return found


def _suggested(texts: PageTexts, text: str, surface: dict[str, Counter[str]]) -> Counter[str]:
    """The counts of a page's terms that say something: words, no numbers, neither too long nor too common."""
    counts = Counter(_terms(texts, text, surface))
    common = max(COMMON_PAGES, COMMON * len(texts))
    return Counter(
        {
            term: count
            for term, count in counts.items()
            if len(term) in TERM_CHARS and term.isalpha() and texts.pages_with(term) <= common
        }
    )
