"""Heat maps to look at, and an index that gives them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.late.heat_map import HeatMap

ROWS, COLUMNS = 4, 3


def hot(query: str, *places: tuple[int, int]) -> HeatMap:
    """A map whose nth word is at the nth place, and nowhere else."""
    tokens = tuple(query.split())
    cells = np.zeros((len(tokens), ROWS, COLUMNS), np.float32)
    for number, place in enumerate(places[: len(tokens)]):
        cells[number][place] = 1
    return HeatMap(query=query, image=Image.new("RGB", (3, 4)), tokens=tokens, similarity=cells)


class Hot:
    """An index that finds the first word of every query in the upper left of every page, the second to its right."""

    fingerprint = "hot"
    pages = PageTexts.of({"engine#1": "x"})

    def __init__(self, blind: frozenset[str] = frozenset()) -> None:
        self.blind = blind
        self.asked: list[tuple[str, str]] = []

    async def explain(self, query: str, page_id: str) -> HeatMap:
        self.asked.append((query, page_id))
        if page_id in self.blind:
            raise InputError(f"page {page_id}: cannot be rendered")
        return hot(query, (0, 0), (0, 1))
