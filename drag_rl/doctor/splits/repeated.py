"""Whether a file asks the same twice: with the same gold pages it weighs double, with others it contradicts itself."""

from __future__ import annotations

from collections.abc import Sequence

from drag_rl.doctor.check import Doubt
from drag_rl.doctor.splits.asked import Asked, QuestionFile, share, shown

Pair = tuple[Asked, Asked]
"""Two questions of one file in the same words: the first, and one that follows."""


def repeated(files: Sequence[QuestionFile]) -> str | Doubt:
    """Doubts questions that a file has twice, with the same gold pages."""
    pairs = [pair for pair in _pairs(files) if _gold(pair[0]) == _gold(pair[1])]
    if not pairs:
        return "no file asks the same twice"
    first, one = pairs[0]
    return Doubt(
        f"{share(len(pairs), _total(files))} repeat another of their file, {one.place} that of row {first.row} "
        f"({shown(one.question.text)}): they weigh double; keep one of each"
    )


def contradicting(files: Sequence[QuestionFile]) -> str | Doubt:
    """Doubts questions that a file has twice, with other gold pages: what is right for one is wrong for the other."""
    pairs = [pair for pair in _pairs(files) if _gold(pair[0]) != _gold(pair[1])]
    if not pairs:
        return "no file asks the same with other gold pages"
    first, one = pairs[0]
    return Doubt(
        f"{share(len(pairs), _total(files))} have other gold pages than another of their file in the same words: "
        f"{one.place} has {one.question.gold_page_ids[0]}, row {first.row} has {first.question.gold_page_ids[0]} "
        f"({shown(one.question.text)}); join them, or say which document each is asked of (its document column)"
    )


def _pairs(files: Sequence[QuestionFile]) -> list[Pair]:
    pairs = []
    for file in files:
        seen: dict[object, Asked] = {}
        for one in file.asked:
            first = seen.setdefault(one.same, one)
            if first is not one:
                pairs.append((first, one))
    return pairs


def _gold(one: Asked) -> frozenset[str]:
    return frozenset(one.question.gold_page_ids)


def _total(files: Sequence[QuestionFile]) -> int:
    return sum(len(file.asked) for file in files)
