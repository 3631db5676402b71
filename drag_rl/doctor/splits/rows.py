"""Whether each row is a question: readable, with words, an id of its own, and answers if others have any."""

from __future__ import annotations

from collections.abc import Sequence

from drag_rl.doctor.check import Doubt
from drag_rl.doctor.splits.asked import Asked, QuestionFile, share, shown
from drag_rl.errors import InputError


def readable(files: Sequence[QuestionFile]) -> str:
    """How many questions there are, of what kinds, on how many documents; fails for a row that is none."""
    faults = [fault for file in files for fault in file.faults]
    if faults:
        more = f" ({len(faults)} rows are wrong)" if len(faults) > 1 else ""
        raise InputError(f"{faults[0]}{more}; a training refuses the file: mend it, or make it again")
    empty = next((file.path for file in files if not file.asked), None)
    if empty is not None:
        raise InputError(f"{empty}: has no question")
    asked = all_asked(files)
    kinds = sorted({one.question.data_source for one in asked})
    documents = {page_id.rpartition("#")[0] for one in asked for page_id in one.question.gold_page_ids}
    each = ", ".join(f"{len(file.asked)} in {file.path.name}" for file in files)
    return f"{len(asked)} questions ({', '.join(kinds)}) on {len(documents)} documents" + (
        f": {each}" if len(files) > 1 else ""
    )


def own_ids(files: Sequence[QuestionFile]) -> str | Doubt:
    """Fails for an id that two rows of a file have, which no reader takes; one that two files have is doubted."""
    seen: dict[str, Asked] = {}
    across: tuple[Asked, Asked] | None = None
    for one in all_asked(files):
        first = seen.setdefault(one.question.question_id, one)
        if first is one:
            continue
        if first.file == one.file:
            raise InputError(
                f"{one.place}: has the id {one.question.question_id!r} of row {first.row}; make ids unique"
            )
        across = across or (first, one)
    if across:
        first, one = across
        return Doubt(
            f"{one.place} has the id {one.question.question_id!r} of {first.place}: trajectories and results of both "
            "files cannot be told apart; make ids unique over all files"
        )
    return f"{len(seen)}, each once"


def with_words(files: Sequence[QuestionFile]) -> str:
    """Fails for a question without a letter or digit: nothing can be searched for it."""
    asked = all_asked(files)
    empty = [one for one in asked if not any(sign.isalnum() for sign in one.question.text)]
    if empty:
        raise InputError(
            f"{share(len(empty), len(asked))} have no word, {empty[0].place} is one ({shown(empty[0].question.text)}); "
            "leave them out"
        )
    return "all have words"


def with_answers(files: Sequence[QuestionFile]) -> str | Doubt:
    """Doubts a set of which some questions have answers and others none."""
    asked = all_asked(files)
    lacking = [one for one in asked if not any(answer.strip() for answer in one.question.answers)]
    if not lacking:
        return "all have some"
    if len(lacking) == len(asked):
        return "none has any, which rewards of ranks do not need; those of answers would all be 0"
    return Doubt(
        f"{share(len(lacking), len(asked))} have none, {lacking[0].place} is one: they earn no reward of answers; "
        "leave them out if you train or measure answers"
    )


def of_a_document(files: Sequence[QuestionFile]) -> str | Doubt:
    """Doubts questions that name no document, where episodes are to search in the question's own."""
    asked = all_asked(files)
    lacking = [one for one in asked if not one.question.document]
    if not lacking:
        return "each question is searched in the document that it is asked of"
    return Doubt(
        f"{share(len(lacking), len(asked))} name no document, {lacking[0].place} is one: they are searched in the "
        "whole corpus in spite of drag.episode.scope=document; make questions with documents, or leave it at corpus"
    )


def all_asked(files: Sequence[QuestionFile]) -> list[Asked]:
    """The questions of all files, in order."""
    return [one for file in files for one in file.asked]
