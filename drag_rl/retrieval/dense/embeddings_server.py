"""An embedding model behind an OpenAI-compatible server, such as vLLM's."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import httpx2
import numpy as np

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined
from drag_rl.retrieval.dense.embedder import LONGEST_WINDOW, EmbedderSettings, Role, Vectors, of_length_one
from drag_rl.retrieval.dense.families import family_of
from drag_rl.retrieval.dense.passages import even_cuts

TIMEOUT_S = 120.0
"""Of one attempt, from connecting to the last byte of the reply."""
MAX_REPLY_BYTES = 128 << 20
WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each further attempt where the server is busy or does not answer."""
AT_ONCE = 4
"""Requests that are on their way at a time, so that the server always has work."""
WINDOW = 512
"""Tokens, where the server does not say how many its model can take."""
BYTES_A_TOKEN = 3
"""A token is reckoned as so much UTF-8, as the server's tokenizer is not here: less than tokens of most texts have."""
_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)")


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
        self._url = settings.model.rstrip("/")
        key = os.environ.get("OPENAI_API_KEY", "")
        try:
            self._client = httpx2.Client(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx2.Timeout(TIMEOUT_S, connect=15.0),
                trust_env=not _LOCAL.match(
                    self._url
                ),  # a proxy of the environment does not lead to this machine
            )
            httpx2.URL(self._url)
        except (ValueError, ImportError, httpx2.InvalidURL) as error:
            raise InputError(f"--model {settings.model}: no way there: {error}") from error

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
        models = self._answer("GET", "/models").get("data")
        for model in models if isinstance(models, list) else []:
            if isinstance(model, dict) and model.get("id") == self._settings.served_model:
                length = model.get("max_model_len")
                return min(length, LONGEST_WINDOW) if isinstance(length, int) and length > 0 else WINDOW
        return WINDOW

    def _embedded(self, texts: Sequence[str]) -> Vectors:
        body = {"model": self._settings.served_model, "input": list(texts), "encoding_format": "float"}
        answer = self._answer("POST", "/embeddings", json=body)
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors_NE = np.array([row["embedding"] for row in rows], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise self._failed(f"its reply has no embeddings ({type(error).__name__}: {error})") from error
        if vectors_NE.ndim != 2 or len(vectors_NE) != len(texts) or not np.isfinite(vectors_NE).all():
            raise self._failed(
                f"its reply does not have one vector of numbers for each of {len(texts)} texts"
            )
        return of_length_one(vectors_NE)

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON object that the server answers, with further attempts while it is busy or away."""
        why = ""
        for wait in (0.0, *WAITS_S):
            time.sleep(wait)
            try:
                status, content = self._sent(method, path, **request)
            except httpx2.HTTPError as error:
                why = str(error.__cause__ or error) or type(error).__name__
                continue
            if status == 200:
                return self._json(content)
            said = " ".join(content[:300].decode("utf-8", "replace").split())
            why = f"HTTP {status}: {said}"
            if status != 429 and status < 500:
                break
        raise self._failed(why)

    def _sent(self, method: str, path: str, **request: Any) -> tuple[int, bytes]:
        """Status and body of a reply that is bounded in time and size."""
        late = time.monotonic() + TIMEOUT_S
        with self._client.stream(method, f"{self._url}{path}", **request) as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_REPLY_BYTES:
                    raise self._failed(
                        f"its reply is longer than {MAX_REPLY_BYTES >> 20} MiB; lower --batch-size"
                    )
                if time.monotonic() > late:
                    raise httpx2.ReadTimeout(f"no whole reply within {TIMEOUT_S:g} s")
            return response.status_code, bytes(body)

    def _json(self, content: bytes) -> dict[str, Any]:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._failed(f"its reply is no JSON ({error})") from error
        if not isinstance(found, dict):
            raise self._failed(
                "its reply is no JSON object: is that the address of an OpenAI-compatible server?"
            )
        return found

    def _failed(self, why: str) -> InputError:
        return InputError(f"--model {self._settings.model}: the embeddings server failed: {why}")
