"""The project's own reader as an embedder: a tower of four million parameters, and words as hashed n-grams.

``--model reader`` is the one whose weights come with the package, the folder of another one names that. It has no
language model: a query is its words, each a vector, without those that are on every page.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from threading import Barrier, RLock

import numpy as np
import torch
from PIL import Image

from drag_rl.cpu.arithmetic import fast_dtype
from drag_rl.cpus import usable_cpus
from drag_rl.errors import InputError
from drag_rl.models.reader.folder import TOWER, WORDS, reader_folder
from drag_rl.models.reader.model import Reader, load_reader
from drag_rl.models.reader.sight import page_vectors, word_vectors
from drag_rl.models.reader.tower import CELL, DIM, Grey
from drag_rl.models.reader.words import word_key, word_spans
from drag_rl.retrieval.dense.model_files import model_fingerprint
from drag_rl.retrieval.late.embedder import MultiVectorSettings, PageVectors, Vectors
from drag_rl.retrieval.late.page_grid import PixelLimits, fitted, page_grid
from drag_rl.retrieval.stopwords import STOPWORDS

MOST_CELLS = 1_024
"""Of a page: a letter page at 96 dpi has 858. Smaller letters than that cannot be read, so a page should not shrink."""
MOST_THREADS = 8
"""Pages that are read beside each other on a CPU."""
_UNASKED = frozenset(STOPWORDS["en_plus"])


def page_limits(max_visual_tokens: int) -> PixelLimits:
    """How small and how large a page may be shown to a reader."""
    return PixelLimits(tile=CELL, fewest=CELL**2, most=MOST_CELLS * CELL**2).lowered(max_visual_tokens)


def grey_page(image: Image.Image, limits: PixelLimits) -> tuple[Grey, tuple[int, int]]:
    """A page as a reader is shown it, and the rows and columns of its cells."""
    grid = page_grid(image.width, image.height, limits)
    return np.asarray(fitted(image, grid, CELL).convert("L")), grid


@cache
def _threads() -> ThreadPoolExecutor:
    """One for each CPU, for pages beside each other: two on the small products of one page take as long as one."""
    count = min(MOST_THREADS, usable_cpus())
    together = Barrier(count + 1)

    def start() -> None:
        torch.set_num_threads(1)  # of this thread, and of those that come later ...
        together.wait()

    before = torch.get_num_threads()
    threads = ThreadPoolExecutor(count, "drag-reader")
    for _ in range(count):
        threads.submit(start)
    together.wait()
    torch.set_num_threads(before)  # ... so they are given back what they had
    return threads


def _after_fork() -> None:
    """A forked process has none of its parent's threads."""
    _threads.cache_clear()


os.register_at_fork(after_in_child=_after_fork)


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
        self._limits = page_limits(settings.max_visual_tokens)
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
        if not self._device.startswith("cpu"):
            with self._lock:
                return [self._seen(image) for image in images]
        _ = self.reader
        return list(_threads().map(self._seen, images))

    def _seen(self, image: Image.Image) -> PageVectors:
        grey, grid = grey_page(image, self._limits)
        vectors_RCE = page_vectors(self.reader, grey, self._dtype)
        return PageVectors(vectors=vectors_RCE.reshape(-1, DIM), grid=grid)

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
        dtype: str = self._settings.dtype
        if dtype == "auto":
            dtype = fast_dtype() if self._device.startswith("cpu") else "bfloat16"
        found: torch.dtype = getattr(torch, dtype)
        return found
