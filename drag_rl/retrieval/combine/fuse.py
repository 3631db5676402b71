"""The fused index: several indexes of the same pages searched at once, their rankings put together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, get_args

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.protocol import CombineMethod
from drag_rl.retrieval.base import Query, Ranking, Retriever, check_top_k
from drag_rl.retrieval.combine.combined_pages import CombinedPages
from drag_rl.retrieval.combine.same_pages import check_same_pages
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.late.heat_map import HeatMap, explained
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.parts import a_part_holds_model, open_parts, part_inputs, write_parts

SETTINGS = "fuse.json"


class FusedRetriever:
    """Fuses the best ``candidates`` pages of each part; a page that is among none of them is not ranked.

    Pages are left out after fusing, so that the others keep their order. A scope is the parts' own: their ranks, and
    so the fused order, count within the document.
    """

    def __init__(
        self,
        parts: Sequence[Retriever],
        fingerprint: str,
        *,
        method: CombineMethod = "rrf",
        weights: Sequence[float] = (),
        candidates: int = 1000,
    ) -> None:
        """``weights`` are those of the parts, in their order; empty weighs all the same."""
        self.fingerprint = fingerprint
        self._parts = parts
        self._method = method
        self._weights = weights
        self._candidates = candidates

    @property
    def pages(self) -> PageTexts:
        """Those of the first part, which all parts have."""
        return self._parts[0].pages

    async def explain(self, query: str, page_id: str) -> HeatMap:
        """Why a page matched, by the first part that can tell; see ``late.heat_map.Explains``."""
        return await explained(query, page_id, *self._parts)

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`; queries of equal text and scope are put to a part once."""
        check_top_k(top_k)
        for query in queries:  # before the parts work: they are asked for none of these pages
            self.pages.rows([*query.track, *query.without])
        asked = list(dict.fromkeys((query.text, query.scope) for query in queries))
        plain = [Query(text=text, scope=scope) for text, scope in asked]
        if not plain:
            return []
        found = await asyncio.gather(*(part.search(plain, self._candidates) for part in self._parts))
        of_each = dict(zip(asked, zip(*found, strict=True), strict=True))
        return await asyncio.to_thread(self._fused, queries, of_each, top_k)

    def _fused(
        self,
        queries: Sequence[Query],
        found: dict[tuple[str, str | None], tuple[Ranking, ...]],
        top_k: int,
    ) -> list[Ranking]:
        """The rankings of queries from what each part found for their texts and scopes."""
        fused = {
            asked: CombinedPages(
                rankings,
                self._candidates,
                self.pages,
                self._method,
                weights=self._weights,
                normalise=True,
            )
            for asked, rankings in found.items()
        }
        return [
            fused[query.text, query.scope].ranking(top_k, query.track, query.without) for query in queries
        ]


@dataclass(frozen=True, kw_only=True)
class FusedIndex(IndexKind):
    """The options of ``drag index --kind fuse``. Raises ``InputError`` for values out of range."""

    part: Annotated[tuple[str, ...], "An index of the same pages; repeat it for each part."] = ()
    method: Annotated[
        CombineMethod, "rrf adds up 1 / (60 + rank), the others use scores between 0 and 1."
    ] = "rrf"
    weight: Annotated[
        tuple[float, ...], "How much a part counts, one for each --part; all the same without."
    ] = ()
    candidates: Annotated[int, "Pages of each part that are fused, the best ones."] = 1000

    def __post_init__(self) -> None:
        if len(self.part) < 2:
            raise InputError(f"--kind fuse needs two --part or more, not {len(self.part)}")
        if self.method not in get_args(CombineMethod):
            raise InputError(
                f"--method {self.method!r} is not known; choose {', '.join(get_args(CombineMethod))}"
            )
        if self.weight and len(self.weight) != len(self.part):
            raise InputError(
                f"--weight is given {len(self.weight)} times for {len(self.part)} parts; give one for each, or none"
            )
        for weight in self.weight:
            if not (weight > 0 and isfinite(weight)):
                raise InputError(f"--weight {weight}: must be above 0; leave out a part that shall not count")
        if self.candidates < 1:
            raise InputError(f"--candidates must be 1 or more, not {self.candidates}")

    def inputs(self) -> dict[str, str]:
        """The parts, and the pages that they share."""
        return part_inputs(self.part)

    def compose(self, folder: Path) -> PageTexts:
        """Write which parts there are and how they are fused. Raises ``InputError`` for parts of different pages."""
        write_parts(folder, self.part)
        settings = {"method": self.method, "weights": list(self.weight), "candidates": self.candidates}
        (folder / SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")
        return check_same_pages(self.part, open_parts(folder))

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> FusedRetriever:
        """The retriever of a folder, which opens those of its parts."""
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        return FusedRetriever(open_parts(folder), manifest.fingerprint, **settings)

    @classmethod
    def holds_model(cls, folder: Path, manifest: Manifest) -> bool:
        """Whether a part does."""
        del manifest
        return a_part_holds_model(folder)
