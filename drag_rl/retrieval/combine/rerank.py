"""The reranking index: a first stage finds candidates, a scorer puts them in order."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, ClassVar

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.base import Query, Ranking, Retriever, check_top_k
from drag_rl.retrieval.combine.model_scorer import ModelScorer, model_fingerprint
from drag_rl.retrieval.combine.reranked_pages import RerankedPages
from drag_rl.retrieval.combine.same_pages import check_same_pages
from drag_rl.retrieval.combine.scorer import PageScorer, RankScorer
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.late.heat_map import HeatMap, explained
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.parts import a_part_holds_model, open_parts, part_inputs, write_parts

SETTINGS = "rerank.json"


class RerankedRetriever:
    """The best ``candidates`` pages of a first stage in a scorer's order, then its other pages in its own.

    Every rank is known as deep as the first stage knows it. Pages are left out after reranking, so that the others keep
    their order; with a scope the candidates are the document's.
    """

    def __init__(
        self, first: Retriever, scorer: PageScorer, fingerprint: str, *, candidates: int = 100
    ) -> None:
        self.fingerprint = fingerprint
        self.first = first
        self.candidates = candidates
        self._scorer = scorer

    @property
    def pages(self) -> PageTexts:
        """Those of the first stage."""
        return self.first.pages

    async def explain(self, query: str, page_id: str) -> HeatMap:
        """Why a page matched, by the scorer, or else by the first stage; see ``late.heat_map.Explains``."""
        return await explained(query, page_id, self._scorer, self.first)

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`; queries of equal text and scope share one scoring."""
        check_top_k(top_k)
        together: dict[tuple[str, str | None], list[Query]] = defaultdict(list)
        for query in queries:
            together[query.text, query.scope].append(query)
        asked = [
            Query(
                text=text,
                scope=scope,
                track=tuple(sorted({page for query in alike for page in _pages_of(query)})),
            )
            for (text, scope), alike in together.items()
        ]
        depth = top_k + max((len(query.without) for query in queries), default=0)
        found = await self.first.search(asked, max(depth, self.candidates))
        scores = await asyncio.gather(*map(self._scores, asked, found))
        each = zip(together, asked, found, scores, strict=True)
        reranked = {key: RerankedPages(self.pages, plain, first, own) for key, plain, first, own in each}
        return [
            reranked[query.text, query.scope].ranking(top_k, query.track, query.without) for query in queries
        ]

    async def _scores(self, query: Query, first: Ranking) -> list[float]:
        """The scores of a query's candidates."""
        candidates = [hit.page_id for hit in first.hits[: self.candidates]]
        scores = await self._scorer.score(query.text, candidates) if candidates else []
        wrong = next(
            (page for page, score in zip(candidates, scores, strict=True) if not isfinite(score)), None
        )
        if wrong is not None:
            raise RuntimeError(f"the reranker's score of page {wrong!r} is no finite number")
        return scores


@dataclass(frozen=True, kw_only=True)
class RerankIndex(IndexKind):
    """The options of ``drag index --kind rerank``. Raises ``InputError`` for values that do not fit together."""

    packages: ClassVar[tuple[str, ...]] = ("sentence-transformers", "torch", "transformers")
    part: Annotated[
        tuple[str, ...], "The first stage's index; without --model, then the index that ranks its candidates."
    ] = ()
    model: Annotated[
        str, "What scores the candidates: a cross-encoder or an embedder, a folder or hub id."
    ] = ""
    candidates: Annotated[int, "Pages of the first stage that are put in order anew, the best ones."] = 100
    device: Annotated[str, "Where the model runs: cpu, cuda ...; a GPU if there is one."] = ""
    batch_size: Annotated[int, "Pages that the model reads at a time."] = 32

    def __post_init__(self) -> None:
        if not self.part or len(self.part) != (1 if self.model else 2):
            raise InputError(
                "--kind rerank needs one --part and a --model, or two --part: the first stage and what ranks its "
                "candidates"
            )
        for option, value in (("candidates", self.candidates), ("batch-size", self.batch_size)):
            if value < 1:
                raise InputError(f"--{option} must be 1 or more, not {value}")

    def inputs(self) -> dict[str, str]:
        """The parts, the pages that they share, and the model."""
        return part_inputs(self.part) | ({"model": model_fingerprint(self.model)} if self.model else {})

    def compose(self, folder: Path) -> PageTexts:
        """Write which first stage and scorer there are. Raises ``InputError`` for a model that cannot be loaded."""
        write_parts(folder, self.part)
        is_folder = Path(self.model).is_dir()
        settings = {
            "model": str(Path(self.model).resolve()) if self.model and is_folder else self.model,
            "candidates": self.candidates,
            "device": self.device,
            "batch_size": self.batch_size,
        }
        if self.model:
            settings["model_fingerprint"] = model_fingerprint(self.model)
        (folder / SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")
        parts = open_parts(folder)
        pages = check_same_pages(self.part, parts)
        _scorer(pages, parts, settings)
        return pages

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> RerankedRetriever:
        """The retriever of a folder, which opens its parts and loads its model.

        Raises ``InputError`` for a model that has gone, or that has changed since.
        """
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        model = settings["model"]
        if model and model_fingerprint(model) != settings["model_fingerprint"]:
            raise InputError(f"{model}: has changed since {folder} was made with it; run drag index again")
        parts = open_parts(folder)
        scorer = _scorer(parts[0].pages, parts, settings)
        return RerankedRetriever(parts[0], scorer, manifest.fingerprint, candidates=settings["candidates"])

    @classmethod
    def holds_model(cls, folder: Path, manifest: Manifest) -> bool:
        """Whether it scores by a model, or a part holds one."""
        return bool(manifest.config["model"]) or a_part_holds_model(folder)


def _scorer(pages: PageTexts, parts: Sequence[Retriever], settings: dict[str, object]) -> PageScorer:
    """The model, or the second part: by its own scores where it can score, else by its ranks."""
    if settings["model"]:
        return ModelScorer(
            pages,
            str(settings["model"]),
            device=str(settings["device"]),
            batch_size=int(str(settings["batch_size"])),
        )
    scorer = parts[1]
    return scorer if isinstance(scorer, PageScorer) else RankScorer(scorer)


def _pages_of(query: Query) -> set[str]:
    return {*query.track, *query.without}
