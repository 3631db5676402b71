"""Gold pages of questions that come with answers alone, or with titles of the articles that support them.

A reward for ranks needs pages that are right. Where a row names supporting sentences, as HotpotQA does, its gold pages
are those that hold them. Else gold are pages that hold an answer *and* are about the question: an answer such as
``1969`` stands on many pages by chance. How much a page is about a question is the sum of the inverse document
frequencies of the question's terms that stand on it, answers' own words apart. Pages with less than half of the best
page's sum are not gold, and at most 20 are. All of them count the same. Answers that stand on very many pages are not
looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.open_questions import OpenQuestion
from data_preprocess.page_matcher import MAX_GOLD, Matches, match_pages
from data_preprocess.written_pages import WrittenPages

MIN_SHARE = 0.5
"""Of the best page's sum, for a page that holds an answer to be gold."""


def find_gold(
    questions: Sequence[OpenQuestion],
    pages: WrittenPages,
    rows: DroppedRows,
    *,
    by_answers: bool = True,
    workers: int | None = 1,
) -> list[tuple[str, ...]]:
    """The gold pages of each question, those that fit best first; none where none is found.

    With ``by_answers`` pages that hold an answer are gold where no supporting fact is found. ``workers`` processes look
    through the pages; None: those of a Ray cluster.
    """
    matches, common = match_pages(questions, pages, by_answers=by_answers, workers=workers)
    if common.answers:
        rows.counts["answers_too_common"] += len(common.answers)
    chosen = [_chosen(number, question, matches, rows) for number, question in enumerate(questions)]
    wanted = {place for own in chosen for place in own}
    named = {place: page_id for place, page_id in enumerate(pages.ids()) if place in wanted}
    return [tuple(dict.fromkeys(named[place] for place in own)) for own in chosen]


def _chosen(number: int, question: OpenQuestion, matches: Matches, rows: DroppedRows) -> list[int]:
    """The places of a question's gold pages in the file, the best first."""
    found = [matches.supported.get((number, fact)) for fact in range(len(question.facts))]
    supported = sorted(filter(None, found), reverse=True)
    if supported:
        if lost := len(found) - len(supported):
            rows.counts["supporting_facts_not_found"] += lost
        return [-place for _, place in supported][:MAX_GOLD]
    best = sorted(matches.answered.get(number, []), reverse=True)
    return [-place for fit, place in best if fit >= MIN_SHARE * best[0][0]]
