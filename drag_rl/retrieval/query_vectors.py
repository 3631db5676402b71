"""What a model makes of queries, kept at hand: samples of one question often search the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")

VECTORS_KEPT = 4096
"""The vectors of so many queries, those asked last."""


class QueryVectors(Generic[V]):
    """The vectors of texts, each embedded once; used by one thread."""

    def __init__(self, embed: Callable[[list[str]], Sequence[V]]) -> None:
        self._embed = embed
        self._kept: OrderedDict[str, V] = OrderedDict()

    def of(self, texts: Sequence[str]) -> list[V]:
        """Those of some texts, all different. Raises as the model does."""
        if new := [text for text in texts if text not in self._kept]:
            self._kept.update(zip(new, self._embed(new), strict=True))
        for text in texts:
            self._kept.move_to_end(text)
        found = [self._kept[text] for text in texts]
        while len(self._kept) > VECTORS_KEPT:
            self._kept.popitem(last=False)
        return found
