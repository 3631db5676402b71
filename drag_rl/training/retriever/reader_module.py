"""A reader as the one module of a ``MultiVectorEncoder``: a batch of pages, or of queries, with gradients.

Its vectors are those of :class:`~drag_rl.retrieval.late.reader_model.ReaderModel`, by which the result is searched.

Shape letters: B pages or queries of a batch, R rows and C columns of the largest page's cells, V = R C, W words of the
longest query, G n-grams of the longest word, T tiles, E numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import InputModule
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from drag_rl.models.reader.model import save_reader
from drag_rl.models.reader.sight import INNER, MARGIN, TILES_AT_ONCE, WHITE
from drag_rl.models.reader.tower import CELL, DIM, SIDE, TILE
from drag_rl.models.reader.words import buckets, word_key
from drag_rl.retrieval.late.reader_model import ReaderModel, grey_page, page_limits

NO_GRAM = -1
"""Fills up words of fewer n-grams and queries of fewer words."""


class ReaderModule(InputModule):  # type: ignore[misc]
    """Images are pages, texts are queries; a vector of length 1 for each cell, and for each word that is asked for."""

    def __init__(self, model: ReaderModel, *, max_visual_tokens: int, dtype: torch.dtype) -> None:
        """Set the module up.

        Args:
            model: The reader, which learns, and how queries become words.
            max_visual_tokens: Cells of a page, at most.
            dtype: What is computed in; of another than float32 only the multiplications.
        """
        super().__init__()
        self.reader = model.reader
        self._words_of = model.query_tokens
        self._limits = page_limits(max_visual_tokens)
        self._dtype = dtype
        self.recomputes = False
        """Whether the tower looks again at each few tiles for the backward pass, instead of remembering all: memory is
        that of 16 tiles then, however many pages there are, for a third more time."""

    @property
    def modalities(self) -> list[str]:
        """See sentence-transformers."""
        return ["text", "image"]

    def get_embedding_dimension(self) -> int:
        """Numbers of a vector."""
        return DIM

    def preprocess(
        self, inputs: Sequence[str | Image.Image], prompt: str | None = None, **_: Any
    ) -> dict[str, Tensor]:
        """Pages in grey with white below and right of them, and their grids; or the n-grams of queries' words."""
        texts = [f"{prompt or ''}{text}" for text in inputs if isinstance(text, str)]
        if texts:
            return {"input_ids": _grams([self._words_of(text) for text in texts])}
        images = [image for image in inputs if isinstance(image, Image.Image)]
        greys, grids = zip(*(grey_page(image, self._limits) for image in images), strict=True)
        tall, wide = (max(sides) * CELL for sides in zip(*grids, strict=True))
        pixels = np.full((len(images), tall, wide), WHITE, np.uint8)
        for page, grey in zip(pixels, greys, strict=True):
            page[: grey.shape[0], : grey.shape[1]] = grey
        return {"pixel_values": torch.from_numpy(pixels), "grids": torch.tensor(grids)}

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        """Adds ``token_embeddings``, shape (B, V or W, E), and ``attention_mask``, which tells where there are some."""
        if "pixel_values" in features:
            vectors, mask = self._pages(features["pixel_values"], features["grids"])
        else:
            vectors, mask = self._queries(features["input_ids"])
        if torch.is_grad_enabled():
            vectors = vectors + self._nothing()
        features["token_embeddings"], features["attention_mask"] = vectors, mask
        return features

    def _queries(self, grams_BWG: Tensor) -> tuple[Tensor, Tensor]:
        there_BWG = grams_BWG != NO_GRAM
        mask_BW = there_BWG.any(dim=-1)
        lengths = there_BWG.sum(dim=-1)[mask_BW]
        vectors_BWE = self.reader.words.table.weight.new_zeros(*mask_BW.shape, DIM)
        vectors_BWE[mask_BW] = self.reader.words(grams_BWG[there_BWG], lengths.cumsum(0) - lengths)
        return vectors_BWE, mask_BW

    def _pages(self, pixels: Tensor, grids_B2: Tensor) -> tuple[Tensor, Tensor]:
        """All pages are cut into tiles that overlap; only those that a page's own grid has are looked at."""
        count, rows, columns = len(pixels), pixels.shape[1] // CELL, pixels.shape[2] // CELL
        down, across = -(-rows // INNER), -(-columns // INNER)
        step, margin = INNER * CELL, MARGIN * CELL
        right, below = across * step + margin - pixels.shape[2], down * step + margin - pixels.shape[1]
        padded = functional.pad(pixels, (margin, right, margin, below), value=WHITE)
        cut = padded.unfold(1, TILE, step).unfold(2, TILE, step)  # (B, down, across, 256, 256)
        wanted = _within(-(-grids_B2 // INNER), down, across)
        tiles, which = cut[wanted].unique(dim=0, return_inverse=True)  # a fifth are blank
        cells = torch.cat([self._look(some) for some in tiles.split(TILES_AT_ONCE)])
        seen = cells.new_zeros(count, down, across, INNER, INNER, DIM)
        seen[wanted] = cells[which]
        whole = seen.transpose(2, 3).reshape(count, down * INNER, across * INNER, DIM)
        mask_BRC = _within(grids_B2, rows, columns)
        vectors_BRCE = whole[:, :rows, :columns] * mask_BRC[..., None]
        return vectors_BRCE.flatten(1, 2), mask_BRC.flatten(1)

    def _look(self, tiles: Tensor) -> Tensor:
        """The inner cells of some tiles, shape (T, INNER, INNER, E)."""
        if self.recomputes and torch.is_grad_enabled():
            seen: Tensor = checkpoint(self._inner, tiles, use_reentrant=False, preserve_rng_state=False)
            return seen
        return self._inner(tiles)

    def _inner(self, tiles: Tensor) -> Tensor:
        with torch.autocast(tiles.device.type, self._dtype, enabled=self._dtype != torch.float32):
            cells = self.reader.eye(tiles.float() / 127.5 - 1)[0].float()
        inner = cells.view(-1, SIDE, SIDE, DIM)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        return functional.normalize(inner, dim=-1)

    def _nothing(self) -> Tensor:
        """Zero, with a gradient of zero for every weight that learns.

        Pages do not use the words, nor queries the tower; ranks wait for the gradients of all weights in each pass.
        """
        return sum(
            (weight.sum() * 0 for weight in self.parameters() if weight.requires_grad), torch.zeros(())
        )

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """The files of a reader."""
        save_reader(self.reader, Path(output_path), torch.float32)


class ReaderEncoder(MultiVectorEncoder):  # type: ignore[misc]
    """The encoder of a reader: ``encode_document`` takes page images, ``encode_query`` texts."""

    def gradient_checkpointing_enable(self, *_: Any, **__: Any) -> None:
        """By tiles. The library would ask the tower, whose own forward pass is not the one that is taken."""
        self[0].recomputes = True


def _grams(queries: Sequence[Sequence[str]]) -> Tensor:
    """The rows of the table of each word's n-grams, shape (B, W, G)."""
    each = [[torch.tensor(buckets(word_key(word))) for word in words] for words in queries]
    flat = pad_sequence([word for words in each for word in words], batch_first=True, padding_value=NO_GRAM)
    by_query = flat.split([len(words) for words in each])
    return pad_sequence(list(by_query), batch_first=True, padding_value=NO_GRAM)


def _within(grids_B2: Tensor, rows: int, columns: int) -> Tensor:
    """Which places of a grid lie within each page's own, shape (B, rows, columns)."""
    down = torch.arange(rows, device=grids_B2.device)[:, None] < grids_B2[:, 0, None, None]
    across = torch.arange(columns, device=grids_B2.device) < grids_B2[:, 1, None, None]
    return down & across
