"""Whether a question of one file is asked in another: then what is measured there was trained on.

Two questions are near duplicates if they share four fifths of their words, and are asked of the same document and
images; one that is asked of no document may be of any. They are found by prefix filtering
(:mod:`drag_rl.near_duplicates`), and each is compared with a limited number of others, which bounds the time.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from drag_rl.doctor.check import Doubt
from drag_rl.doctor.splits.asked import Asked, QuestionFile, shown
from drag_rl.errors import InputError
from drag_rl.near_duplicates import NearDuplicates, is_near, word_set

MAX_COMPARED = 500
"""Questions that one is compared with, at most; only sets of few different words come near it."""
ANY_DOCUMENT = None

Place = tuple[str | None, tuple[str, ...]]
"""What a question is asked of: a document, ``""`` for the whole corpus, or :data:`ANY_DOCUMENT`; and images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What the files after the first ask that one before them asks, too."""

    copied: list[tuple[Asked, Asked]] = field(default_factory=list)
    """In the same words, with a gold page in common; the earlier file's first."""
    near: list[tuple[Asked, Asked]] = field(default_factory=list)
    """The others that are near duplicates."""
    cut: int = 0
    """Questions that had more candidates than were compared."""
    sizes: Counter[Path]
    """Questions of each file."""


def find_leaks(files: Sequence[QuestionFile]) -> Leaks:
    """Compare the questions of each file with those of all files before it; see :class:`Leaks`."""
    words = NearDuplicates(_words(one) for file in files for one in file.asked)
    earlier: dict[frozenset[str], dict[Place, Asked]] = defaultdict(dict)
    answered: dict[object, Asked] = {}
    copied, near, cut = [], [], 0
    for file in files:
        for one in file.asked:
            keys = ((one.same, page_id) for page_id in one.question.gold_page_ids)
            if (first := next(filter(None, map(answered.get, keys)), None)) is not None:
                copied.append((first, one))
                continue
            own = _words(one)
            candidates = list(islice(words.candidates(own), MAX_COMPARED))
            cut += len(candidates) == MAX_COMPARED
            alike = (earlier[other] for other in dict.fromkeys(candidates) if is_near(own, other))
            if (
                first := next(filter(None, (_of_the_same(one, places) for places in alike)), None)
            ) is not None:
                near.append((first, one))
        for one in file.asked:
            own = _words(one)
            words.add(own)
            for place in ((one.question.document, one.question.images), (ANY_DOCUMENT, one.question.images)):
                earlier[own].setdefault(place, one)
            answered.update(((one.same, page_id), one) for page_id in one.question.gold_page_ids)
    sizes = Counter({file.path: len(file.asked) for file in files})
    return Leaks(copied=copied, near=near, cut=cut, sizes=sizes)


def copied(leaks: Leaks) -> str:
    """Fails for a question that two files ask with the same gold page."""
    if leaks.copied:
        raise InputError(
            f"{_counted(leaks.copied, leaks)} are asked in an earlier file with the same gold page: "
            f"{_example(leaks.copied[0])}; leave them out of one, or what is measured is what was learnt by heart"
        )
    return "no file asks what another asks"


def near(leaks: Leaks) -> str | Doubt:
    """Doubts questions in nearly the same words as one of another file."""
    cut = (
        f"; {leaks.cut} have more candidates than {MAX_COMPARED}, of which so many were compared"
        if leaks.cut
        else ""
    )
    if leaks.near:
        return Doubt(
            f"{_counted(leaks.near, leaks)} are near duplicates of an earlier file's: {_example(leaks.near[0])}; "
            f"leave them out of what is trained on{cut}"
        )
    return f"no file has a near duplicate of another's{cut}"


def shared_documents(files: Sequence[QuestionFile]) -> str | Doubt:
    """Doubts documents whose pages are gold in several files."""
    first_of: dict[str, Asked] = {}
    pairs: dict[str, tuple[Asked, Asked]] = {}
    questions = 0
    for one in (one for file in files for one in file.asked):
        documents = {page_id.rpartition("#")[0] for page_id in one.question.gold_page_ids}
        met = [(first_of.setdefault(document, one), document) for document in sorted(documents)]
        others = {document: (first, one) for first, document in met if first.file != one.file}
        questions += bool(others)
        for document, pair in others.items():
            pairs.setdefault(document, pair)
    if not pairs:
        return "each document's questions are in one file"
    document, (first, one) = next(iter(pairs.items()))
    return Doubt(
        f"{len(pairs)} documents answer questions of several files, {questions} questions beside those of the first: "
        f"{document} {one.place} and {first.place}; split by document (drag data convert --val --test), unless one "
        "corpus is searched for all questions, as an encyclopaedia is"
    )


def _words(one: Asked) -> frozenset[str]:
    """The words of a question, each kept in memory once for all questions."""
    return frozenset(map(sys.intern, word_set(one.question.text)))


def _of_the_same(one: Asked, places: dict[Place, Asked]) -> Asked | None:
    """A question that is asked of what this one is asked of, or may be."""
    images = one.question.images
    documents: Iterator[str | None] = iter(
        [one.question.document, ""] if one.question.document else [ANY_DOCUMENT]
    )
    return next((places[document, images] for document in documents if (document, images) in places), None)


def _counted(pairs: Sequence[tuple[Asked, Asked]], leaks: Leaks) -> str:
    counts = Counter(one.file for _, one in pairs)
    return ", ".join(
        f"{count} of {leaks.sizes[path]} questions of {path.name}" for path, count in counts.items()
    )


def _example(pair: tuple[Asked, Asked]) -> str:
    first, one = pair
    return f"{one.place} {shown(one.question.text)} and {first.place} {shown(first.question.text)}"
