"""An embedding model behind an OpenAI-compatible server, such as vLLM's."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined
from drag_rl.retrieval.dense.embedder import LONGEST_WINDOW, EmbedderSettings, Role, Vectors, of_length_one
from drag_rl.retrieval.dense.families import family_of
from drag_rl.retrieval.dense.passages import even_cuts
from drag_rl.retrieval.model_server import AT_ONCE, ModelServer

WINDOW = 512
"""Tokens, where the server does not say how many its model can take."""
BYTES_A_TOKEN = 3
"""A token is reckoned as so much UTF-8, as the server's tokenizer is not here: less than tokens of most texts have."""


class EmbeddingsServer:
    """A client of ``POST /embeddings``; a failure is an ``InputError`` with its cause, never an empty answer."""

    def __init__(self, settings: EmbedderSettings) -> None:
        """Raises ``InputError`` without a name of the model, or for an address that is none."""
        if not settings.served_model:
            raise InputError("--served-model is missing: what the server of --model calls its model")
        family = family_of(settings.served_model)
        query, page = settings.query_prompt, settings.page_prompt
        self._prompts: dict[Role, str] = {
            "query": family.query_prompt if query is None else query,
            "page": family.page_prompt if page is None else page,
        }
        self._settings = settings
        self._server = ModelServer(settings.model, settings.model, "embeddings server")

    @property
    def fingerprint(self) -> str:
        """Of the model's name and what is sent around a text: more is not known of a server's model."""
        return combined({"served model": str(self._settings.served_model), **self._prompts_by_name})

    def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        """See :class:`drag_rl.retrieval.dense.embedder.Embedder`."""
        prompted = [f"{self._prompts[role]}{text}" for text in texts]
        size = self._settings.batch_size
        batches = [prompted[begin : begin + size] for begin in range(0, len(prompted), size)]
        if len(batches) < 2:
            return np.concatenate([self._embedded(batch) for batch in batches])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return np.concatenate([*pool.map(self._embedded, batches)])

    def cuts(self, text: str, most_tokens: int) -> list[tuple[int, int]]:
        """See :class:`drag_rl.retrieval.dense.embedder.Embedder`; tokens are reckoned by the length of the text."""
        used = len(self._prompts["page"].encode()) // BYTES_A_TOKEN + 8
        room = max(1, self._window - used)
        most = min(most_tokens or room, room) * BYTES_A_TOKEN
        if text.isascii():
            return even_cuts(text, range(len(text)), most)
        sizes = np.array([len(character.encode()) for character in text])
        starts = np.repeat(np.arange(len(text)), sizes)
        return even_cuts(text, starts.tolist(), most)

    @property
    def _prompts_by_name(self) -> dict[str, str]:
        return {f"{role} prompt": prompt for role, prompt in self._prompts.items()}

    @cached_property
    def _window(self) -> int:
        """Tokens that the model takes, as vLLM lists it, unless ``max_tokens`` says so."""
        if self._settings.max_tokens:
            return self._settings.max_tokens
        models = self._server.answer("GET", "/models").get("data")
        for model in models if isinstance(models, list) else []:
            if isinstance(model, dict) and model.get("id") == self._settings.served_model:
                length = model.get("max_model_len")
                return min(length, LONGEST_WINDOW) if isinstance(length, int) and length > 0 else WINDOW
        return WINDOW

    def _embedded(self, texts: Sequence[str]) -> Vectors:
        body = {"model": self._settings.served_model, "input": list(texts), "encoding_format": "float"}
        answer = self._server.answer("POST", "/embeddings", json=body)
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors_NE = np.array([row["embedding"] for row in rows], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise self._server.failed(
                f"its reply has no embeddings ({type(error).__name__}: {error})"
            ) from error
        if vectors_NE.ndim != 2 or len(vectors_NE) != len(texts) or not np.isfinite(vectors_NE).all():
            raise self._server.failed(
                f"its reply does not have one vector of numbers for each of {len(texts)} texts"
            )
        return of_length_one(vectors_NE)
