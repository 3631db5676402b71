"""Distances between rollouts by a text model: loaded into this process, or served by vLLM.

Two kinds of model, as ``GroupConfig.classifier`` says: an embedding model (distance ``1 - cosine``, of mean-pooled,
normalised embeddings), or DARLING's judge of pairs (distance ``1 - probability that both texts say the same``, averaged
over both orders). The text of a rollout is its queries. This module knows torch only once a local model is loaded.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from itertools import permutations
from queue import Empty, SimpleQueue
from typing import Any

from pydantic import BaseModel, FiniteFloat

from drag_rl.errors import InputError
from drag_rl.types import Outcome
from reward.group import Distances, GroupConfig

MAX_REPLY_BYTES = 64 << 20
"""The most bytes of a server's answer that are read; a hundred vectors of some thousand numbers take a tenth of it."""

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts -> one vector each, of length 1."""
Same = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of texts -> probabilities that both say the same."""


def local_distances(config: GroupConfig) -> Distances:
    """The distance by a text model that is loaded into this process.

    Raises InputError where no model is named, or what is named cannot be loaded or is no model of its kind.
    """
    model = _named(config)
    return _by_pairs(_local_same(model)) if config.classifier else _by_embeddings(_local_embed(model))


def served_distances(config: GroupConfig) -> Distances:
    """The distance by a text model that a vLLM server answers for. Raises InputError where no model is named."""
    _named(config)
    return _by_pairs(_served_same(config)) if config.classifier else _by_embeddings(_served_embed(config))


def _named(config: GroupConfig) -> str:
    if not config.model:
        raise InputError(f"option 'model': distance {config.distance!r} needs one")
    return config.model


def queries_text(outcome: Outcome) -> str:
    """What a rollout searched for, as one text."""
    return "; ".join(outcome.queries)


def _by_embeddings(embed: Embed) -> Distances:
    def distances(outcomes: Sequence[Outcome]) -> list[list[float]]:
        vectors = embed([queries_text(outcome) for outcome in outcomes])
        return [
            [_bounded(1 - sum(a * b for a, b in zip(u, v, strict=True))) for v in vectors] for u in vectors
        ]

    return distances


def _by_pairs(same: Same) -> Distances:
    def distances(outcomes: Sequence[Outcome]) -> list[list[float]]:
        texts = [queries_text(outcome) for outcome in outcomes]
        pairs = list(permutations(dict.fromkeys(texts), 2))
        likeness = dict(zip(pairs, same(pairs), strict=True)) if pairs else {}
        return [
            [0.0 if u == v else _bounded(1 - (likeness[u, v] + likeness[v, u]) / 2) for v in texts]
            for u in texts
        ]

    return distances


def _local_embed(model: str) -> Embed:
    import torch

    tokenizer, network = _load(model, "AutoModel")

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        inputs = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            states_GTD = network(**inputs).last_hidden_state
        mask_GT1 = inputs["attention_mask"].unsqueeze(-1)
        means_GD = (states_GTD * mask_GT1).sum(1) / mask_GT1.sum(1).clamp(min=1)
        vectors: list[list[float]] = torch.nn.functional.normalize(means_GD.float(), dim=-1).tolist()
        return vectors

    return embed


def _local_same(model: str) -> Same:
    import torch

    tokenizer, network = _load(model, "AutoModelForSequenceClassification")
    labels = network.config.num_labels
    if labels > 2:
        raise InputError(f"{model}: judges {labels} classes; a pair classifier has 1, or 2 (different, same)")

    def same(pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        first, second = zip(*pairs, strict=True)
        inputs = tokenizer(list(first), list(second), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            logits = network(**inputs).logits.float()
        shares: list[float] = (logits.sigmoid() if labels == 1 else logits.softmax(-1))[:, -1].tolist()
        return shares

    return same


def _load(model: str, kind: str) -> tuple[Any, Any]:
    import transformers

    try:
        network = getattr(transformers, kind).from_pretrained(model)
        return transformers.AutoTokenizer.from_pretrained(model), network.eval()
    except (OSError, ValueError) as error:
        raise InputError(f"{model}: cannot be loaded as a text model: {str(error).splitlines()[0]}") from None


def _served_embed(config: GroupConfig) -> Embed:
    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors = _ask(config, "/v1/embeddings", {"input": list(texts)}, _Embeddings, len(texts))
        lengths = [sum(value * value for value in vector) ** 0.5 or 1.0 for vector in vectors]
        return [[value / length for value in vector] for vector, length in zip(vectors, lengths, strict=True)]

    return embed


def _served_same(config: GroupConfig) -> Same:
    def same(pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        first, second = zip(*pairs, strict=True)
        body = {"text_1": list(first), "text_2": list(second)}
        scores: list[float] = _ask(config, "/score", body, _Scores, len(pairs))
        return scores

    return same


class _Embedding(BaseModel):
    index: int
    embedding: list[FiniteFloat]


class _Embeddings(BaseModel):
    data: list[_Embedding]

    def values(self) -> list[list[float]]:
        vectors = [row.embedding for row in sorted(self.data, key=lambda row: row.index)]
        if len({len(vector) for vector in vectors}) > 1:
            raise ValueError("vectors of different lengths")
        return vectors


class _Score(BaseModel):
    index: int
    score: FiniteFloat


class _Scores(BaseModel):
    data: list[_Score]

    def values(self) -> list[float]:
        return [row.score for row in sorted(self.data, key=lambda row: row.index)]


def _ask(
    config: GroupConfig, path: str, body: dict[str, Any], shape: type[_Embeddings | _Scores], count: int
) -> Any:
    """The ``count`` values that the server answers, in the order of the question.

    A server that fails, sends something else, or takes longer than ``config.timeout_s`` in all ends the run, in one
    line.
    """
    url = config.server.rstrip("/") + path
    if not url.startswith(("http://", "https://")):
        raise InputError(f"option 'server': {config.server!r} is no http:// or https:// address")
    data = json.dumps({"model": config.model, **body}).encode()
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, data=data, headers=headers)
        values = shape.model_validate_json(_within(config.timeout_s, request)).values()
        if len(values) != count:
            raise ValueError(f"{len(values)} results for {count} texts")
    except (OSError, HTTPException, ValueError) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{url}: the diversity model's server does not answer as vLLM does: {said}"
        ) from None
    return values


def _within(seconds: float, request: urllib.request.Request) -> bytes:
    """The body of the answer, read whole within a time; urllib's own time-out is of each read, and so no bound."""
    answers: SimpleQueue[bytes | Exception] = SimpleQueue()

    def read() -> None:
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                answers.put(answer.read(MAX_REPLY_BYTES + 1))
        except Exception as error:
            answers.put(error)  # raised below, in the thread that waits

    threading.Thread(target=read, daemon=True).start()
    try:
        body = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no whole answer within {seconds:g} s") from None
    if isinstance(body, Exception):
        raise body
    if len(body) > MAX_REPLY_BYTES:
        raise ValueError(f"an answer of more than {MAX_REPLY_BYTES >> 20} MiB")
    return body


def _bounded(distance: float) -> float:
    return min(1.0, max(0.0, distance))
