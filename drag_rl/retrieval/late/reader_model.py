"""The project's own reader as an embedder: a tower of four million parameters, and words as hashed n-grams.

``--model reader`` is the one whose weights come with the package, the folder of another one names that. It has no
language model: a query is its words, each a vector, without those that are on every page.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import RLock

import numpy as np
import torch
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.models.reader.folder import TOWER, WORDS, reader_folder
from drag_rl.models.reader.model import Reader, load_reader
from drag_rl.models.reader.sight import page_vectors, word_vectors
from drag_rl.models.reader.tower import CELL, DIM
from drag_rl.models.reader.words import word_key, word_spans
from drag_rl.retrieval.dense.model_files import model_fingerprint
from drag_rl.retrieval.late.embedder import MultiVectorSettings, PageVectors, Vectors
from drag_rl.retrieval.late.page_grid import PixelLimits, fitted, page_grid
from drag_rl.retrieval.stopwords import STOPWORDS

MOST_CELLS = 1_024
"""Of a page: a letter page at 96 dpi has 858. Smaller letters than that cannot be read, so a page should not shrink."""
_UNASKED = frozenset(STOPWORDS["en_plus"])


class ReaderModel:
    """A reader in this process."""

    def __init__(self, settings: MultiVectorSettings) -> None:
        """Finds the reader; it is loaded when it is first asked. Raises ``InputError`` if it cannot be found or run."""
        self._folder = reader_folder(settings.model)
        if not (self._folder / TOWER).is_file() or not (self._folder / WORDS).is_file():
            raise InputError(
                f"--model {settings.model}: there are no weights in {self._folder}; train a reader with "
                "scripts/train_reader.sh and give its folder"
            )
        if settings.adapter or settings.load_in_4bit:
            raise InputError(f"--model {settings.model}: a reader takes no --adapter and no --load-in-4bit")
        self._settings = settings
        self._limits = PixelLimits(tile=CELL, fewest=CELL**2, most=MOST_CELLS * CELL**2).lowered(
            settings.max_visual_tokens
        )
        self._device = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._lock = RLock()

    @cached_property
    def fingerprint(self) -> str:
        """Of the files of the reader, and of what else its vectors depend on."""
        settings = self._settings
        return model_fingerprint(
            self._folder,
            max_visual_tokens=settings.max_visual_tokens,
            dtype=settings.dtype,
            most_cells=MOST_CELLS,
            unasked=sorted(_UNASKED),
        )

    @property
    def width(self) -> int:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        return DIM

    @cached_property
    def reader(self) -> Reader:
        """The reader itself, loaded."""
        with self._lock:
            reader: Reader = load_reader(self._folder).to(self._device).eval()
            return reader

    def embed_pages(self, images: Sequence[Image.Image]) -> list[PageVectors]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`; pages are read in grey."""
        found = []
        for image in images:
            width, height = image.size
            grid = page_grid(width, height, self._limits)
            grey = np.asarray(fitted(image, grid, CELL).convert("L"))
            with self._lock:
                vectors_RCE = page_vectors(self.reader, grey, self._dtype)
            found.append(PageVectors(vectors=vectors_RCE.reshape(-1, DIM), grid=grid))
        return found

    def embed_queries(self, texts: Sequence[str]) -> list[Vectors]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        with self._lock:
            return [word_vectors(self.reader, self.query_tokens(text)) for text in texts]

    def query_tokens(self, text: str) -> list[str]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`.

        Each word counts once, and function words only where there are no others.
        """
        words: dict[str, str] = {}
        for begin, end in word_spans(text):
            words.setdefault(word_key(text[begin:end]), text[begin:end])
        asked = [word for key, word in words.items() if key not in _UNASKED]
        return asked or list(words.values()) or [""]

    def visual_tokens(self, width: int, height: int) -> int:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        rows, columns = page_grid(width, height, self._limits)
        return rows * columns

    @property
    def _dtype(self) -> torch.dtype:
        dtype = self._settings.dtype
        if dtype == "auto":
            return torch.float32 if self._device.startswith("cpu") else torch.bfloat16
        return torch.float32 if dtype == "float32" else getattr(torch, dtype)
