"""Encoding some pages: images are loaded ahead of the model, and its vectors pooled behind it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from drag_rl.corpus.renderer import PageRenderError
from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_write
from drag_rl.retrieval.late.embedder import MultiVectorEmbedder, Vectors
from drag_rl.retrieval.late.page_source import PageSource
from drag_rl.retrieval.late.quantisation import Halves, to_bfloat16
from drag_rl.retrieval.late.token_pooling import pooled

BATCHES_AHEAD = 2
"""Batches whose images are loaded while the model has another."""
POOLING_THREADS = 2
MOST_LOADERS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """The vectors of some pages."""

    counts: npt.NDArray[np.int64]
    """How many vectors each page has, 0 if it cannot be seen (D,)."""
    vectors: Halves
    """Those of all, in order, in bfloat16 (V, E)."""
    reasons: dict[int, str]
    """Why a page cannot be seen, by its place among these pages."""

    def write(self, path: Path) -> None:
        """Write them to a file, whole or not at all."""
        reasons = np.frombuffer(json.dumps([*self.reasons.items()]).encode(), np.uint8)
        with atomic_write(path, "wb") as file:
            np.savez(file, counts=self.counts, vectors=self.vectors, reasons=reasons)

    @classmethod
    def read(cls, path: Path) -> Encoded:
        """Those of a file that :meth:`write` has written."""
        with np.load(path) as arrays:
            reasons = dict(json.loads(arrays["reasons"].tobytes()))
            return cls(counts=arrays["counts"], vectors=arrays["vectors"], reasons=reasons)


class PieceEncoder:
    """Encodes pages with one model; a context, which ends its threads and the processes that render."""

    def __init__(
        self,
        source: PageSource,
        embedder: MultiVectorEmbedder,
        *,
        batch_size: int,
        pool: int,
        work: Path,
        loaders: int,
    ) -> None:
        """A batch has up to ``batch_size`` images of the largest size, or more smaller ones.

        ``pool`` is the factor of token pooling, ``loaders`` how many images are loaded at a time.
        """
        self._source = source
        self._embedder = embedder
        self._pool = pool
        side = isqrt(source.max_pixels)
        self._most_tokens = batch_size * embedder.visual_tokens(side, side)
        self._open = ExitStack()
        self._load = self._open.enter_context(source.loading(work, loaders))
        self._loaders = self._open.enter_context(ThreadPoolExecutor(loaders, "drag-load"))
        self._pooling = self._open.enter_context(ThreadPoolExecutor(POOLING_THREADS, "drag-pool"))

    def __enter__(self) -> PieceEncoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._loaders.shutdown(cancel_futures=True)
        self._open.close()

    def encode(
        self,
        page_ids: Sequence[str],
        known: Sequence[Halves | None] | None = None,
        told: Callable[[int], None] = lambda _pages: None,
    ) -> Encoded:
        """The vectors of pages, those that are ``known`` as they are; ``told`` hears of every batch.

        Raises ``InputError`` if the model cannot see them, or where it is not a page that is to blame for an image that
        is missing.
        """
        vectors: dict[int, Future[Halves]] = {}
        taken = {place: own for place, own in enumerate(known or ()) if own is not None}
        reasons: dict[int, str] = {}
        told(len(taken))
        places = [place for place in range(len(page_ids)) if place not in taken]
        for batch, images in self._loaded(page_ids, self._batches(page_ids, places)):
            seen = [
                (place, image)
                for place, image in zip(batch, images, strict=True)
                if not isinstance(image, str)
            ]
            reasons |= {
                place: image for place, image in zip(batch, images, strict=True) if isinstance(image, str)
            }
            if seen:
                found = self._embedder.embed_pages([image for _, image in seen])
                for (place, _), page in zip(seen, found, strict=True):
                    vectors[place] = self._pooling.submit(self._stored, page.vectors)
            told(len(batch))
        each = [
            taken[place] if place in taken else self._of(vectors, place) for place in range(len(page_ids))
        ]
        counts = np.array([len(own) for own in each], np.int64)
        return Encoded(counts=counts, vectors=np.concatenate(each), reasons=dict(sorted(reasons.items())))

    def _of(self, vectors: dict[int, Future[Halves]], place: int) -> Halves:
        return vectors[place].result() if place in vectors else np.empty((0, self._embedder.width), np.uint16)

    def _stored(self, vectors_VE: Vectors) -> Halves:
        if not np.isfinite(vectors_VE).all():
            raise InputError("the model gives vectors that are no numbers; give another --dtype")
        return to_bfloat16(pooled(vectors_VE, self._pool))

    def _batches(self, page_ids: Sequence[str], places: Sequence[int]) -> list[list[int]]:
        """Pages of about the same size together, as padding is work for nothing; the largest first, so that a model
        that lacks memory says so at once."""
        tokens = {
            place: self._embedder.visual_tokens(*self._source.size(page_ids[place])) for place in places
        }
        batches: list[list[int]] = []
        room = 0
        for place in sorted(places, key=lambda place: (-tokens[place], place)):
            if room < 1:
                batches.append([])
                room = max(1, self._most_tokens // max(1, tokens[place]))
            batches[-1].append(place)
            room -= 1
        return batches

    def _loaded(
        self, page_ids: Sequence[str], batches: Sequence[list[int]]
    ) -> Iterator[tuple[list[int], list[Image.Image | str]]]:
        """Each batch with its images, or why there is none."""
        coming: deque[tuple[list[int], list[Future[Image.Image | str]]]] = deque()
        for batch in [*batches, *[[]] * BATCHES_AHEAD]:
            coming.append((batch, [self._loaders.submit(self._image, page_ids[place]) for place in batch]))
            if len(coming) > BATCHES_AHEAD:
                loaded, images = coming.popleft()
                yield loaded, [image.result() for image in images]

    def _image(self, page_id: str) -> Image.Image | str:
        try:
            return self._load(page_id)
        except PageRenderError as error:
            return str(error)
