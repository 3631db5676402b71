"""The seam of models that see pages: a vector for each part of a page image, and one for each token of a query.

Shape letters: V vectors of a page, T vectors of a query, E numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from drag_rl.models.reader.folder import READER, names_reader
from drag_rl.tables import Table

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiVectorSettings:
    """Which model embeds pages and queries, and how it is run."""

    model: str
    """A folder, a hub id, or the address of a server of a pooling model such as ``http://127.0.0.1:8000/v1``."""
    served_model: str | None = None
    """What a server calls the model."""
    adapter: str | None = None
    """A folder or hub id of a PEFT adapter that is loaded onto the model."""
    max_visual_tokens: int = 0
    """Image tokens of a page, at most; larger images are made smaller. 0 takes the model's own limit."""
    device: str = ""
    """Where a model in this process runs; "" takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """What it computes in; ``auto`` is bfloat16 on a GPU, and for a reader on a CPU fast in it; else float32."""
    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"
    """``auto`` is flash attention where it is installed and there is a GPU, else sdpa."""
    load_in_4bit: bool = False
    """NF4 weights by bitsandbytes; on the CPU, too."""
    batch_size: int = 8
    """Page images of the largest size that the model reads at a time; smaller ones are more at a time."""
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageVectors:
    """What a model sees of one page image."""

    vectors: Vectors
    """One vector of length 1 for each image token, row by row from the top left, shape (V, E)."""
    grid: tuple[int, int]
    """Rows and columns of the image tokens; their product is V."""


class MultiVectorEmbedder(Protocol):
    """Makes vectors of page images and of queries, all of length 1; safe to share between threads."""

    @property
    def fingerprint(self) -> str:
        """Which model it is; under equal ones, equal pages and queries have equal vectors, to the last few bits."""

    @property
    def width(self) -> int:
        """Numbers of a vector, E."""

    def embed_pages(self, images: Sequence[Image.Image]) -> list[PageVectors]:
        """What the model sees of each page. The vectors of a page do not depend on what else is in the batch.

        Raises ``InputError`` when the model cannot be loaded or asked, with the cause.
        """

    def embed_queries(self, texts: Sequence[str]) -> list[Vectors]:
        """The vectors of each query, shape (T, E); T differs from query to query. Raises as :meth:`embed_pages`."""

    def query_tokens(self, text: str) -> list[str]:
        """What each of the T vectors of a query stands for, as people read it; "" where it is no part of the text."""

    def visual_tokens(self, width: int, height: int) -> int:
        """The V of a page image of so many pixels, without looking at it: to make up batches, and to reckon space."""


def _reader(settings: MultiVectorSettings) -> MultiVectorEmbedder:
    from drag_rl.retrieval.late.reader_model import ReaderModel

    return ReaderModel(settings)


EMBEDDERS: Table[Callable[[MultiVectorSettings], MultiVectorEmbedder]] = Table(
    "embedder of pages", {READER: _reader}, group="drag_rl.page_embedders"
)
"""What ``MultiVectorSettings.model`` may name beside folders, hub ids and addresses; installed packages add theirs."""


@lru_cache(maxsize=4)
def open_multi_vector_embedder(settings: MultiVectorSettings) -> MultiVectorEmbedder:
    """The embedder of these settings: one for all indexes of this process; its model is loaded when first asked.

    Raises ``InputError`` for a model that cannot be found.
    """
    if settings.model in EMBEDDERS:
        return EMBEDDERS[settings.model](settings)
    if settings.model.startswith(("http://", "https://")):
        from drag_rl.retrieval.late.pooling_server import PoolingServer

        return PoolingServer(settings)
    if names_reader(settings.model):
        return _reader(settings)
    from drag_rl.retrieval.late.local_model import LocalModel

    return LocalModel(settings)
