"""Whether an index of page images can do its work: images, model, prefilter; and whether candidates reach gold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean, median
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from drag_rl.doctor.check import Doubt
from drag_rl.doctor.searching import question_queries
from drag_rl.errors import InputError
from drag_rl.protocol import SearchScope
from drag_rl.retrieval.base import Query, Ranking, Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.retrieval.late.embedder import MultiVectorEmbedder, Vectors
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Question, best_rank, within

SAMPLE_PAGES = 8
"""Pages that are rendered and embedded, and queries that are embedded."""
SAME_DIRECTION = 0.99
"""The least cosine of a vector in a batch and alone; less is more than the rounding of half precision."""
PREFILTER_DEPTH = 10
PREFILTER_RECALL = 0.95
"""Of the exact best ``PREFILTER_DEPTH`` pages, what a prefilter should find at least."""
EXACT_SCORES = 100_000
"""Pages that are scored exactly to measure a prefilter, over all queries."""
EXACT_AT_ONCE = 32
"""So few pages are scored exactly; of many an index may score the best by bits only."""
REACHED = 0.9
"""Share of questions whose gold page should be among the candidates."""


@runtime_checkable
class SeesPages(Protocol):
    """A retriever whose model sees page images; any kind of index may."""

    pages: PageTexts
    embedder: MultiVectorEmbedder

    def page_image(self, page_id: str) -> Image.Image:
        """The image of a page, as the model is given it."""

    async def score(self, query: str, page_ids: Sequence[str]) -> list[float]:
        """The score of each page, by all that is stored of it, up to ``EXACT_AT_ONCE`` pages."""

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`."""


@runtime_checkable
class TwoStages(Protocol):
    """A retriever that puts the best pages of a first stage in another order."""

    first: Retriever
    candidates: int

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`."""


def page_images(index: SeesPages, page_ids: Sequence[str], images: list[Image.Image]) -> str:
    """Render the images of some pages, into ``images``. Raises ``InputError`` for one that cannot be rendered."""
    started = time.perf_counter()
    images += [index.page_image(page_id) for page_id in page_ids]
    seconds = time.perf_counter() - started
    width, height = (round(median(image.size[side] for image in images)) for side in (0, 1))
    tokens = median(index.embedder.visual_tokens(*image.size) for image in images)
    return (
        f"{len(images)} sample pages have an image, {width} x {height} pixels, {tokens:.0f} visual tokens each "
        f"(median), {len(images) / max(seconds, 1e-9):.0f} pages/s"
    )


def model(embedder: MultiVectorEmbedder, images: Sequence[Image.Image], texts: Sequence[str]) -> str | Doubt:
    """Embed pages and queries, alone and together: how long, how many a second, and whether a batch gives the same."""
    embedder.embed_queries(texts[:1])  # loads the model
    alone = [embedder.embed_pages([image])[0] for image in images]
    started = time.perf_counter()
    together = embedder.embed_pages(images)
    seconds = time.perf_counter() - started
    queries_alone = [embedder.embed_queries([text])[0] for text in texts]
    queries = embedder.embed_queries(texts)
    for page, image in zip(together, images, strict=True):
        rows, columns = page.grid
        _check(page.vectors, embedder.width, "a page")
        expected = embedder.visual_tokens(*image.size)
        if not len(page.vectors) == rows * columns == expected:
            raise InputError(
                f"a page has {len(page.vectors)} vectors for a grid of {rows} x {columns} where {expected} were "
                "reckoned: the model's image processor is not Qwen3-VL's"
            )
    for text, query_TE in zip(texts, queries, strict=True):
        _check(query_TE, embedder.width, "a query")
        if len(query_TE) != len(embedder.query_tokens(text)):
            raise InputError("a query has more or fewer vectors than tokens, so no heat map can be drawn")
    found = (
        f"{embedder.width} numbers a vector, {median(len(page.vectors) for page in together):.0f} vectors a page, "
        f"{len(images) / seconds:.2f} pages/s in batches"
    )
    pairs = [
        *zip((page.vectors for page in alone), (page.vectors for page in together), strict=True),
        *zip(queries_alone, queries, strict=True),
    ]
    least = min(_least_cosine(one, other) for one, other in pairs)
    if least < SAME_DIRECTION:
        return Doubt(
            f"{found}; a page or query has other vectors in a batch than alone (cosine {least:.4f}): index with "
            "--batch-size 1, and --dtype float32 where that is not enough"
        )
    scores_QD = np.array([[_maxsim(query, page.vectors) for page in together] for query in queries])
    if len(images) > 1 and float(np.ptp(scores_QD, axis=1).max()) < 1e-3:
        return Doubt(
            f"{found}, a batch equals single ones; but all sample pages score alike for every query: has the model "
            "been trained to retrieve? scripts/run_retriever.sh trains it"
        )
    return f"{found}, a batch equals single pages and queries"


def prefilter(index: SeesPages, queries: Sequence[Query]) -> str | Doubt:
    """Which part of the exact best pages the index finds, where it does not look at all vectors of all pages."""
    page_ids = [*index.pages.page_ids]
    depth = min(PREFILTER_DEPTH, len(page_ids))
    asked = [query for query in queries if query.text.strip()][: EXACT_SCORES // len(page_ids)]
    if not asked:
        return (
            f"not measured: {len(page_ids)} pages are too many to score exactly here; compare with an index of "
            "--no-binary by drag evaluate"
        )
    recalls = []
    for query in asked:
        cuts = range(0, len(page_ids), EXACT_AT_ONCE)
        parts = [blocking(index.score(query.text, page_ids[cut : cut + EXACT_AT_ONCE])) for cut in cuts]
        scores_D = np.array([score for part in parts for score in part])
        exact = {page_ids[row] for row in np.argsort(-scores_D, kind="stable")[:depth]}
        [ranking] = blocking(index.search([Query(text=query.text)], depth))
        recalls.append(len(exact & {hit.page_id for hit in ranking.hits}) / depth)
    found = f"{len(asked)} queries find {fmean(recalls):.1%} of the exact best {depth} pages"
    if fmean(recalls) < PREFILTER_RECALL:
        return Doubt(
            f"{found}: rescore more of them with a larger --rescore-ratio, or look at every vector with --no-binary"
        )
    return found


def candidates(
    index: TwoStages, asked: Sequence[Question], top_k: int, scope: SearchScope = "corpus"
) -> str | Doubt:
    """How often the gold page is among a first stage's candidates, and whether the second stage ranks it better."""
    queries = question_queries(asked, scope)
    first_ranks = [best_rank(one.tracked) for one in blocking(index.first.search(queries, 0))]
    ranks = [best_rank(one.tracked) for one in blocking(index.search(queries, 0))]
    reached = fmean(within(rank, index.candidates) for rank in first_ranks)
    before, after = (fmean(within(rank, top_k) for rank in found) for found in (first_ranks, ranks))
    found = (
        f"a gold page is among the first stage's {index.candidates} candidates for {reached:.1%} of the questions, in "
        f"the top {top_k} for {before:.1%} by the first stage and for {after:.1%} after reranking"
    )
    if reached < REACHED:
        return Doubt(
            f"{found}: what is no candidate cannot be reranked; give more --candidates, or a better first stage, such "
            "as a fuse index"
        )
    if after < before:
        return Doubt(f"{found}: reranking does harm here; use the first stage alone, or another scorer")
    return found


def _check(vectors: Vectors, width: int, whose: str) -> None:
    """Raise ``InputError`` for vectors of another width than said, or of another length than 1."""
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise InputError(f"{whose} has vectors of shape {vectors.shape}, not of {width} numbers each")
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    if not np.allclose(lengths, 1.0, atol=0.02):
        raise InputError(
            f"{whose} has a vector of length {lengths[np.abs(lengths - 1).argmax()]:.3g}, not 1: give another --dtype, "
            "or another model"
        )


def _least_cosine(one: Vectors, other: Vectors) -> float:
    return float(np.min(np.sum(one * other, axis=1))) if one.shape == other.shape else -1.0


def _maxsim(query_TE: Vectors, page_VE: Vectors) -> float:
    return float((query_TE @ page_VE.T).max(axis=1).mean())
