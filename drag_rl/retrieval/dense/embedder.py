"""The seam of models that embed: texts in, vectors out; in this process, or behind a server's address.

Shape letters: N texts, E numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Role = Literal["query", "page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderSettings:
    """Which model embeds, and how it is run."""

    model: str
    """A folder, a hub id, or the address of an OpenAI-compatible server such as ``http://127.0.0.1:8000/v1``."""
    served_model: str | None = None
    """What a server calls the model."""
    query_prompt: str | None = None
    """Text before a query; None takes the model's own, or that of its family."""
    page_prompt: str | None = None
    """Text before a passage."""
    max_tokens: int = 0
    """Window in tokens; 0 takes the model's own, up to ``LONGEST_WINDOW``."""
    device: str = ""
    """Where a model in this process runs; "" takes a GPU if there is one."""
    dtype: str = "auto"
    """What it computes in; ``auto`` is bfloat16 on a GPU, else float32."""
    batch_size: int = 32
    trust_remote_code: bool = False


LONGEST_WINDOW = 8192
"""Tokens of a window where none is asked for: models that could take more need much memory for it."""


class Embedder(Protocol):
    """Makes vectors of texts, all of length 1; safe to share between threads."""

    @property
    def fingerprint(self) -> str:
        """Which model it is: the same texts have the same vectors, to the last few bits, under equal fingerprints."""

    def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        """The vectors of N texts, shape (N, E); a text longer than the window is cut.

        Raises ``InputError`` when the model cannot be loaded or asked, with the cause.
        """

    def cuts(self, text: str, most_tokens: int) -> list[tuple[int, int]]:
        """Where a page is cut so that each passage fits: begin and end, in characters, in order.

        A passage has at most ``most_tokens`` tokens (0: as many as the window holds beside the prompt), and all have
        about the same. A text without a character has no passage.
        """


@lru_cache(maxsize=8)
def open_embedder(settings: EmbedderSettings) -> Embedder:
    """The embedder of these settings: one for all indexes of this process; its model is loaded when first asked.

    Raises ``InputError`` for a model that cannot be found.
    """
    if settings.model.startswith(("http://", "https://")):
        from drag_rl.retrieval.dense.embeddings_server import EmbeddingsServer

        return EmbeddingsServer(settings)
    from drag_rl.retrieval.dense.local_model import LocalModel

    return LocalModel(settings)


def of_length_one(vectors_NE: Vectors) -> Vectors:
    """The vectors at length 1, shape (N, E), so that their inner products are cosines; zeros stay zeros."""
    lengths: Vectors = np.linalg.norm(vectors_NE, axis=1, keepdims=True)
    scaled: Vectors = vectors_NE / np.maximum(lengths, np.float32(1e-12))
    return scaled
