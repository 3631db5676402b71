"""Questions and pages as the rows of training: a question, its gold page, mined pages, and what must not count.

Each gold page of a question is a row of its own. ``label`` tells pages apart by number: first those of the row, then
all gold pages of its question, filled up with -1. Pages with equal texts have one number, so a copy of the gold page is
no negative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.progress import track
from sentence_transformers.multi_vector_encoder.data_collator import MultiVectorEncoderDataCollator

from drag_rl.corpus.images import PageImages
from drag_rl.corpus.pages import PAGES_FILE, PageText, pages_manifest
from drag_rl.corpus.renderer import PageRenderError
from drag_rl.errors import InputError
from drag_rl.files.parquet import iter_rows
from drag_rl.types import Question

NO_PAGE = -1
QUESTION = "query"
GOLD = "positive"
MINED = "negative_{}"
"""Names of columns in the order in which the loss takes them."""


@dataclass(frozen=True, slots=True)
class Pages:
    """The readable pages of a folder: their texts, and their images."""

    texts: Mapping[str, str]
    """Page id -> text, in page order."""
    images: PageImages

    @classmethod
    def open(cls, folder: Path) -> Pages:
        """The pages of a folder. Raises ``InputError`` for a folder without pages, or without page images."""
        pages_manifest(folder)
        rows = iter_rows(folder / PAGES_FILE, PageText)
        texts = {row.page_id: row.text for row in rows if row.status == "ok"}
        if not texts:
            raise InputError(f"{folder}: has no readable page")
        return cls(texts, PageImages(folder))

    def numbers(self) -> dict[str, int]:
        """A number for each page; pages of equal texts, in words, share it. Pages without text are all different."""
        first: dict[str, int] = {}
        numbers = {}
        for number, (page_id, text) in enumerate(self.texts.items()):
            words = " ".join(text.casefold().split())
            numbers[page_id] = first.setdefault(words, number) if words else number
        return numbers


def usable_questions(
    questions: Sequence[Question], pages: Pages, where: Path
) -> tuple[list[Question], Counter[str]]:
    """The questions whose gold pages can all be shown, and how many others there are, by reason.

    All gold images are rendered here, so that no page fails in the middle of a training. Raises ``InputError`` for a
    gold page that is not in the folder of pages, and where no question is left.
    """
    kept, dropped, shown = [], Counter[str](), dict[str, bool]()
    for question in track(questions, f"page images of {where.name}"):
        missing = [page_id for page_id in question.gold_page_ids if page_id not in pages.texts]
        if missing:
            raise InputError(
                f"{where}: question {question.question_id}: its gold page {missing[0]} is not among the pages; are "
                "they those that the questions were made from?"
            )
        for page_id in question.gold_page_ids:
            if page_id not in shown:
                shown[page_id] = can_be_shown(pages.images, page_id)
        if all(shown[page_id] for page_id in question.gold_page_ids):
            kept.append(question)
        else:
            dropped["a gold page cannot be rendered"] += 1
    if not kept:
        raise InputError(f"{where}: no question has gold pages that can all be rendered")
    return kept, dropped


def can_be_shown(images: PageImages, page_id: str) -> bool:
    """Whether a page has an image; it is rendered to tell."""
    try:
        images.path(page_id)
    except PageRenderError:
        return False
    return True


def training_rows(
    questions: Sequence[Question], numbers: Mapping[str, int], mined: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """The rows, one for each gold page of each question.

    ``mined`` has the hard negatives of each question by its id, as many for all; empty: there are none. Pages that are
    asked for are never negatives of that question, by their numbers.

    >>> question = Question(question_id="q", text="Where?", gold_page_ids=("a#1", "a#2"), answers=(), data_source="x")
    >>> for row in training_rows([question], {"a#1": 0, "a#2": 1, "b#1": 2}, {"q": ["b#1"]}):
    ...     print(row)
    {'query': 'Where?', 'positive': 'a#1', 'negative_1': 'b#1', 'label': [0, 2, 0, 1]}
    {'query': 'Where?', 'positive': 'a#2', 'negative_1': 'b#1', 'label': [1, 2, 0, 1]}
    """
    width = max(len(question.gold_page_ids) for question in questions)
    rows = []
    for question in questions:
        gold = [numbers[page_id] for page_id in question.gold_page_ids]
        negatives = mined.get(question.question_id, ())
        for page_id in question.gold_page_ids:
            shown = [page_id, *negatives]
            rows.append(
                {
                    QUESTION: question.text,
                    GOLD: page_id,
                    **{MINED.format(n): negative for n, negative in enumerate(negatives, start=1)},
                    "label": [numbers[shown_id] for shown_id in shown]
                    + gold
                    + [NO_PAGE] * (width - len(gold)),
                }
            )
    return rows


@dataclass(kw_only=True)
class PageCollator(MultiVectorEncoderDataCollator):  # type: ignore[misc]
    """sentence-transformers' collator for rows that name pages; a batch's images are opened when it is made."""

    load: Callable[[str], Image.Image]
    """The image of a page id."""

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """The tensors of a batch. Raises ``InputError`` for an image that has been lost since training began."""
        opened = [
            {name: value if name in (QUESTION, "label") else self.load(value) for name, value in row.items()}
            for row in features
        ]
        batch: dict[str, Any] = super().__call__(opened)
        return batch
