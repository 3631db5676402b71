"""Refusing parts that do not have the same pages."""

from __future__ import annotations

from collections.abc import Sequence
from operator import eq

from drag_rl.errors import InputError
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.page_texts import PageTexts


def check_same_pages(names: Sequence[str], parts: Sequence[Retriever]) -> PageTexts:
    """The pages that all parts have; raises ``InputError`` naming the first part that has others, or another order."""
    first = parts[0].pages
    for name, part in zip(names[1:], parts[1:], strict=True):
        same = len(part.pages) == len(first) and all(map(eq, part.pages.page_ids, first.page_ids))
        if not same:
            raise InputError(
                f"--part {name}: has other pages than {names[0]}, or another order of them; index the same pages"
            )
    return first
