"""Whether gold pages are there, hold the answers, and do not hold the questions themselves."""

from __future__ import annotations

from collections.abc import Sequence

from drag_rl.doctor.check import Doubt
from drag_rl.doctor.splits.asked import Asked, share, shown
from drag_rl.doctor.splits.evidence import NOT_WRITTEN, Evidence
from drag_rl.errors import InputError


def documents_exist(asked: Sequence[Asked], evidence: Evidence, where: str) -> str:
    """Fails for a question that is asked of a document without pages."""
    named = [one for one in asked if one.question.document]
    lost = [one for one in named if one.question.document not in evidence.documents]
    if lost:
        raise InputError(
            f"{share(len(lost), len(asked))} are asked of a document that {where} does not have: {lost[0].place} of "
            f"{lost[0].question.document!r}; make questions and pages from the same documents"
        )
    return f"{share(len(named), len(asked))} are asked of a document, all are in {where}"


def gold_exists(asked: Sequence[Asked], evidence: Evidence, where: str) -> str:
    """Fails for a gold page that is no page, or one that could not be read."""
    there = [one for one in asked if not one.question.document or one.question.document in evidence.documents]
    lost = [(one, page) for one in there for page in one.question.gold_page_ids if page not in evidence.found]
    if lost:
        one, page_id = lost[0]
        questions = len({one for one, _ in lost})
        raise InputError(
            f"{share(questions, len(asked))} have a gold page that {where} does not have: {one.place} has "
            f"{page_id}; make questions and pages from the same documents"
        )
    failed = [(one, page) for one in there for page in one.question.gold_page_ids if page in evidence.failed]
    if failed:
        one, page_id = failed[0]
        raise InputError(
            f"{share(len({one for one, _ in failed}), len(asked))} have a gold page that could not be read: "
            f"{one.place} has {page_id} ({evidence.failed[page_id]}); mend the file and read it again, or leave "
            "them out"
        )
    return f"{len(evidence.found)} gold pages, all are in {where}"


def answers_stand(asked: Sequence[Asked], evidence: Evidence) -> str | Doubt:
    """Doubts answers that stand on no gold page: numbers are compared by value, others by their words."""
    checked = [one for one in asked if one in evidence.judged and _written(one)]
    if not checked:
        return "none to look for: no question has one that could stand on a page with text"
    lost = [one for one in checked if one not in evidence.answered]
    if lost:
        one = lost[0]
        return Doubt(
            f"{share(len(lost), len(checked))} with answers have none on their gold pages: {one.place} "
            f"{shown(one.question.text)} has {shown(one.question.answers[0])}, not so {one.question.gold_page_ids[0]}; "
            "are pages counted from another number, or are answers computed, told in other words, or seen in a picture "
            "only? Searching can be learnt from such questions all the same"
        )
    return f"{len(checked)} questions with answers have one on their gold pages"


def not_verbatim(asked: Sequence[Asked], evidence: Evidence) -> str | Doubt:
    """Doubts questions that stand on their gold page word for word: to find them is to match strings."""
    if not evidence.judged:
        return "no gold page has a text"
    if evidence.verbatim:
        one, page_id = next(iter(evidence.verbatim.items()))
        return Doubt(
            f"{share(len(evidence.verbatim), len(asked))} stand word for word on their gold page: {one.place} "
            f"{shown(one.question.text)} on {page_id}; searching for them is matching strings: remove the text "
            "from the page, as drag data build does, or ask in other words"
        )
    return "none stands word for word on its gold page"


def _written(one: Asked) -> bool:
    """Whether a question has an answer that could stand on a page."""
    answers = [answer.strip().casefold() for answer in one.question.answers if answer.strip()]
    return bool(answers) and not NOT_WRITTEN.issuperset(answers)
