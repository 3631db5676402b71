"""A ColQwen3 behind vLLM's pooling endpoint, which encodes pages and queries.

``bash scripts/serve_vllm.sh MODEL -- --runner pooling`` is such a server. By the chat template of a folder that we
saved vLLM writes page prompts as its model has learnt them; the vectors of the image are cut out of the answer.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined
from drag_rl.retrieval.dense.embedder import of_length_one
from drag_rl.retrieval.late.embedder import MultiVectorSettings, PageVectors, Vectors
from drag_rl.retrieval.late.page_grid import PixelLimits, fitted, page_grid
from drag_rl.retrieval.late.prompts import (
    AFTER_IMAGE,
    AUGMENTATION_TOKENS,
    BEFORE_IMAGE,
    PAGE_PROMPT,
    plain_query,
    query_prompt,
)
from drag_rl.retrieval.model_server import AT_ONCE, ModelServer

TILE = 32
"""Pixels along each side of a visual token of Qwen3-VL."""
FEWEST_TOKENS = 64
"""Of an image of Qwen3-VL, which enlarges smaller ones."""
MOST_TOKENS = 768
"""Of a page where no number is given: a server does not say its limit, and ours have this one unless told otherwise."""
QUERIES_A_REQUEST = 32

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class PoolingServer:
    """A client of ``POST /pooling``; a failure is an ``InputError`` with its cause, never an empty answer."""

    def __init__(self, settings: MultiVectorSettings) -> None:
        """Raises ``InputError`` without a name of the model, or for an address that is none."""
        if not settings.served_model:
            raise InputError("--served-model is missing: what the server of --model calls its model")
        if settings.adapter:
            raise InputError("--adapter: a server has its model's adapter merged; see drag merge")
        self._settings = settings
        self._limits = PixelLimits(
            tile=TILE, fewest=FEWEST_TOKENS * TILE**2, most=MOST_TOKENS * TILE**2
        ).lowered(settings.max_visual_tokens)
        self._server = ModelServer(
            settings.model, settings.model.rstrip("/").removesuffix("/v1"), "pooling server"
        )

    @property
    def fingerprint(self) -> str:
        """Of the model's name and of what is sent to it: more is not known of a server's model."""
        return combined(
            {
                "served model": str(self._settings.served_model),
                "visual tokens": str(self._limits.most_tokens),
                "page": PAGE_PROMPT,
                "query": query_prompt(""),
            }
        )

    @cached_property
    def width(self) -> int:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        return int(self.embed_queries([""])[0].shape[1])

    def embed_pages(self, images: Sequence[Image.Image]) -> list[PageVectors]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        return _together(self._page, images)

    def embed_queries(self, texts: Sequence[str]) -> list[Vectors]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        prompts = [query_prompt(text) for text in texts]
        cuts = range(0, len(prompts), QUERIES_A_REQUEST)
        batches = [prompts[begin : begin + QUERIES_A_REQUEST] for begin in cuts]
        return [vectors for found in _together(self._queries, batches) for vectors in found]

    def query_tokens(self, text: str) -> list[str]:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        own = plain_query(text)
        pieces = self._tokenized(own).get("token_strs")
        if not isinstance(pieces, list):
            raise self._server.failed("it does not tell tokens (POST /tokenize)")
        return pieces_of(own, [str(piece) for piece in pieces]) + [""] * AUGMENTATION_TOKENS

    def visual_tokens(self, width: int, height: int) -> int:
        """See :class:`drag_rl.retrieval.late.embedder.MultiVectorEmbedder`."""
        rows, columns = page_grid(width, height, self._limits)
        return rows * columns

    def _page(self, image: Image.Image) -> PageVectors:
        width, height = image.size
        grid = page_grid(width, height, self._limits)
        shown = {"type": "image_url", "image_url": {"url": _png(fitted(image, grid, TILE))}}
        (vectors_TE,) = self._vectors({"messages": [{"role": "user", "content": [shown]}]}, 1)
        before, after = self._around
        seen = len(vectors_TE) - before - after
        if seen != grid[0] * grid[1]:
            raise self._server.failed(
                f"it sees {seen} visual tokens in an image of {grid[0]} x {grid[1]}; is it a model folder of ours, "
                "with its chat template, and is --max-visual-tokens no more than the model's limit?"
            )
        return PageVectors(vectors=vectors_TE[before : before + seen], grid=grid)

    def _queries(self, prompts: Sequence[str]) -> list[Vectors]:
        return self._vectors({"input": list(prompts), "add_special_tokens": False}, len(prompts))

    def _vectors(self, prompt: dict[str, Any], count: int) -> list[Vectors]:
        """The vectors of all tokens of each of so many prompts."""
        asked = {"model": self._settings.served_model, "task": "token_embed"}
        form = {"encoding_format": "base64", "embed_dtype": "float32", "endianness": "little"}
        answer = self._server.answer("POST", "/pooling", json={**asked, **form, **prompt})
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            numbers = [np.frombuffer(base64.b64decode(row["data"], validate=True), "<f4") for row in rows]
            width, rest = divmod(sum(map(len, numbers)), int(answer["usage"]["prompt_tokens"]))
            if rest or width < 1 or len(numbers) != count:
                raise ValueError("not one vector for every token")
            vectors = [row.reshape(-1, width).astype(np.float32) for row in numbers]
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise self._server.failed(
                f"its reply has no vectors ({type(error).__name__}: {error})"
            ) from error
        if not all(np.isfinite(row).all() for row in vectors):
            raise self._server.failed("its reply has vectors that are no numbers")
        return [of_length_one(row) for row in vectors]

    @cached_property
    def _around(self) -> tuple[int, int]:
        """How many tokens come before and after those of the image."""
        counts = [self._tokenized(text).get("count") for text in (BEFORE_IMAGE, AFTER_IMAGE)]
        if not all(isinstance(count, int) for count in counts):
            raise self._server.failed("it does not count tokens (POST /tokenize)")
        return counts[0], counts[1]  # type: ignore[return-value]

    def _tokenized(self, text: str) -> dict[str, Any]:
        asked = {"model": self._settings.served_model, "prompt": text, "add_special_tokens": False}
        return self._server.answer("POST", "/tokenize", json={**asked, "return_token_strs": True})


def pieces_of(text: str, tokens: Sequence[str]) -> list[str]:
    """The part of a text that each of its tokens stands for; a token of byte-level BPE has a character for each byte.

    >>> pieces_of("an ö", ["an", "Ġ", "Ã", "¶"])
    ['an', '', 'ö', 'ö']
    """
    places = [place for place, character in enumerate(text) for _ in character.encode("utf-8", "replace")]
    pieces, begin = [], 0
    for token in tokens:
        span = places[begin : begin + len(token)]
        pieces.append(text[span[0] : span[-1] + 1].strip() if span else "")
        begin += len(token)
    return pieces


def _together(ask: Callable[[_In], _Out], inputs: Sequence[_In]) -> list[_Out]:
    """The answers to all inputs, some asked for at a time."""
    if len(inputs) < 2:
        return [ask(one) for one in inputs]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [*pool.map(ask, inputs)]


def _png(image: Image.Image) -> str:
    """An image as a ``data:`` address, without loss."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
