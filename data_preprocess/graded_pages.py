"""Which pages answer a question, and how well, as users write it: page numbers, ranges and grades."""

from __future__ import annotations

import re

from data_preprocess.question_rows import shown
from drag_rl.errors import InputError
from drag_rl.types.question import MAX_GRADE

MAX_RANGE_PAGES = 1000
MAX_PAGE_NUMBER = 10**9


def graded_pages(pages: object, grades: object = 1) -> dict[int, int]:
    """Page number -> grade, by rising number. One grade is that of all pages, several are in the order of the pages.

    >>> graded_pages("9, 3-4", [3, 1, 2]), graded_pages([7], 2)
    ({3: 1, 4: 2, 9: 3}, {7: 2})
    """
    numbers, given = written_pages(pages), parse_grades(grades)
    given = given * len(numbers) if len(given) == 1 else given
    if len(given) != len(numbers):
        raise InputError(f"grades: {len(given)} for {len(numbers)} pages; give one for all, or one for each")
    found: dict[int, int] = {}
    for number, grade in zip(numbers, given, strict=True):
        if found.setdefault(number, grade) != grade:
            raise InputError(f"grades: page {number} is named twice, with {found[number]} and {grade}")
    return dict(sorted(found.items()))


def parse_pages(value: object) -> list[int]:
    """1-based page numbers from a number, a list, or text such as ``"3-5, 9"``; rising, without repeats.

    >>> parse_pages("3-5, 9"), parse_pages(4), parse_pages([7, "1-2"])
    ([3, 4, 5, 9], [4], [1, 2, 7])
    """
    return sorted({*written_pages(value)})


def written_pages(value: object) -> list[int]:
    """The page numbers of :func:`parse_pages` in the order in which they are written, with their repeats."""
    numbers: list[int] = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, int) and not isinstance(item, bool) and item < MAX_PAGE_NUMBER:
            numbers.append(item)
            continue
        for part in str(item).split(","):
            match = re.fullmatch(r"(\d{1,9})\s*(?:[-\u2013]\s*(\d{1,9}))?", part.strip())
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not first <= last < first + MAX_RANGE_PAGES:
                raise InputError(f"pages {shown(item)} is not a page number, a list, or a range such as 3-5")
            numbers.extend(range(first, last + 1))
    if not numbers or min(numbers) < 1:
        raise InputError(f"pages {shown(value)}: pages count from 1")
    return numbers


def parse_grades(value: object) -> list[int]:
    """Grades from a number, a list, or text such as ``"3, 1"``, in their order.

    >>> parse_grades(2), parse_grades("3, 1"), parse_grades([3, "1"])
    ([2], [3, 1], [3, 1])
    """
    items = value if isinstance(value, list) else str(value).split(",")
    texts = ["" if isinstance(item, bool) else str(item).strip() for item in items]
    grades = [int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0 for text in texts]
    if not grades or not all(1 <= grade <= MAX_GRADE for grade in grades):
        raise InputError(f"grades {shown(value)}: a grade is a whole number from 1 to {MAX_GRADE}")
    return grades
