"""A model that sees pages, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.retrieval.dense.model_files import model_fingerprint
from drag_rl.retrieval.late.embedder import MultiVectorSettings, PageVectors, Vectors
from drag_rl.retrieval.late.model_files import (
    check_packages,
    is_foreign,
    model_and_adapter,
    projection_width,
    vector_width,
)
from drag_rl.retrieval.late.prompts import AUGMENTATION_TOKENS, PAGE_PROMPT

if TYPE_CHECKING:
    from drag_rl.retrieval.late.processor import PageProcessor

QUERIES_A_BATCH = 64
"""Queries are embedded so many at a time."""


class LocalModel:
    """A ColQwen3, alone or with an adapter, or a ``MultiVectorEncoder`` that sentence-transformers has saved."""

    def __init__(self, settings: MultiVectorSettings) -> None:
        """Finds the model; it is loaded when it is first asked. Raises ``InputError`` if it cannot be found or run."""
        check_packages(settings.model)
        self._settings = settings
        self._folder, self._adapter = model_and_adapter(settings)
        self._lock = RLock()

    @cached_property
    def fingerprint(self) -> str:
        """Of the files of the model and its adapter, and of what else its vectors depend on."""
        settings = self._settings
        return model_fingerprint(
            self._folder,
            adapter=model_fingerprint(self._adapter) if self._adapter else "",
            max_visual_tokens=settings.max_visual_tokens,
            dtype=settings.dtype,
            load_in_4bit=settings.load_in_4bit,
            prompts=[PAGE_PROMPT, AUGMENTATION_TOKENS],
        )

    @cached_property
    def width(self) -> int:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        if is_foreign(self._folder):
            return int(self.encoder.get_embedding_dimension())
        return vector_width(self._folder, projection_width(self._adapter) if self._adapter else 0)

    @cached_property
    def encoder(self) -> Any:
        """The ``MultiVectorEncoder`` itself, loaded. It is not safe to share between threads."""
        from drag_rl.retrieval.late.loading import load_encoder

        with self._lock:
            encoder = load_encoder(self._settings)
            encoder.eval()
            return encoder

    def embed_pages(self, images: Sequence[Image.Image]) -> list[PageVectors]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        from drag_rl.retrieval.late.page_grid import fitted

        grids = [self._pages.grid(*image.size) for image in images]
        found: dict[int, PageVectors] = {}
        for batch in self._batches([rows * columns for rows, columns in grids]):
            fitting = [fitted(images[number], grids[number], self._pages.limits.tile) for number in batch]
            for number, vectors_VE in zip(batch, self._embedded(fitting, "document"), strict=True):
                found[number] = PageVectors(vectors=vectors_VE, grid=self._checked(grids[number], vectors_VE))
        return [found[number] for number in range(len(images))]

    def embed_queries(self, texts: Sequence[str]) -> list[Vectors]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        found: dict[int, Vectors] = {}
        by_length = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        for begin in range(0, len(by_length), QUERIES_A_BATCH):
            batch = by_length[begin : begin + QUERIES_A_BATCH]
            vectors = self._embedded([texts[number] for number in batch], "query")
            found.update(zip(batch, vectors, strict=True))
        return [found[number] for number in range(len(texts))]

    def query_tokens(self, text: str) -> list[str]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        with self._lock:
            if not is_foreign(self._folder):
                return self._pages.query_pieces(text)
            ids = self._features([text], "query")["input_ids"][0].tolist()
            tokenizer = self.encoder.tokenizer
            special = set(tokenizer.all_special_ids)
            return ["" if token in special else tokenizer.decode([token]).strip() for token in ids]

    def visual_tokens(self, width: int, height: int) -> int:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        rows, columns = self._pages.grid(width, height)
        return rows * columns

    @cached_property
    def _pages(self) -> PageProcessor:
        """The processor, without the model."""
        from drag_rl.retrieval.late.loading import load_processor

        with self._lock:
            return load_processor(self._folder, self._settings.max_visual_tokens)

    def _batches(self, tokens: Sequence[int]) -> Iterator[list[int]]:
        """The numbers of pages in batches of like sizes, the largest first, of a bounded number of tokens each."""
        most = max(1, self._settings.batch_size) * self._pages.limits.most_tokens
        batch: list[int] = []
        for number in sorted(range(len(tokens)), key=lambda number: -tokens[number]):
            if batch and (len(batch) + 1) * tokens[batch[0]] > most:
                yield batch
                batch = []
            batch.append(number)
        if batch:
            yield batch

    def _features(self, inputs: Sequence[Any], task: str) -> dict[str, Any]:
        """What the model reads of a batch, with the prompt that a model of sentence-transformers may have."""
        features: dict[str, Any] = self.encoder.preprocess(
            list(inputs), prompt=self.encoder.prompts.get(task), task=task
        )
        return features

    def _embedded(self, inputs: Sequence[Any], task: str) -> list[Vectors]:
        """The vectors of one batch: those of image tokens for pages, of all that is no padding for queries."""
        import torch
        from sentence_transformers.util import batch_to_device

        with self._lock, torch.inference_mode():
            try:
                features = self._features(inputs, task)
                batch_to_device(features, self.encoder.device)
                seen = self.encoder(features, task=task)
                kept = seen["attention_mask"].bool()
                if task == "document":
                    kept = seen["input_ids"] == self._pages.image_token_id
                rows = [
                    row[keep].float().cpu().numpy()
                    for row, keep in zip(seen["token_embeddings"], kept, strict=True)
                ]
            except RuntimeError as error:  # of a GPU: out of memory, say
                why = " ".join(str(error).split())[:300]
                raise InputError(
                    f"--model {self._settings.model}: cannot embed: {why}; lower --batch-size or --max-visual-tokens"
                ) from error
        if not all(np.isfinite(row).all() for row in rows):
            raise InputError(
                f"--model {self._settings.model}: gives vectors that are no numbers; give another --dtype"
            )
        return rows

    def _checked(self, grid: tuple[int, int], vectors_VE: Vectors) -> tuple[int, int]:
        if grid[0] * grid[1] != len(vectors_VE):
            raise InputError(
                f"--model {self._settings.model}: has {len(vectors_VE)} vectors for a page of "
                f"{grid[0]} x {grid[1]} visual tokens; only models on Qwen3-VL are supported"
            )
        return grid
