"""An embeddings server is asked in batches, with the model's own prompts; what fails is an error with its cause."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from embeddings_stand_in import MODEL, WIDTH, EmbeddingsStandIn, embeddings, of_text

from drag_rl.errors import InputError
from drag_rl.retrieval import model_server
from drag_rl.retrieval.dense.embedder import EmbedderSettings
from drag_rl.retrieval.dense.embeddings_server import EmbeddingsServer


def embedder(server: EmbeddingsStandIn, **settings: Any) -> EmbeddingsServer:
    return EmbeddingsServer(EmbedderSettings(**{"model": server.url, "served_model": MODEL, **settings}))


def test_vectors_are_of_length_one_in_the_order_of_the_texts_whatever_the_batch() -> None:
    texts = [f"page {n} of the workspace" for n in range(20)]
    with EmbeddingsStandIn() as server:
        found = embedder(server, batch_size=3).embed(texts, "page")
        alone = np.concatenate([embedder(server).embed([text], "page") for text in texts])
        assert max(len(request["input"]) for request in server.requests) == 3
    expected = np.stack([of_text(text) / np.linalg.norm(of_text(text)) for text in texts])
    assert found.dtype == np.float32 and found.shape == (20, WIDTH)
    assert found == pytest.approx(expected, abs=1e-6) and found == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize(
    ("served_model", "settings", "query", "page"),
    [
        ("intfloat/multilingual-e5-base", {}, "query: ", "passage: "),
        ("BAAI/bge-m3", {}, "", ""),
        (
            "Qwen/Qwen3-Embedding-0.6B",
            {},
            "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
            "",
        ),
        ("e5-base-v2", {"query_prompt": "", "page_prompt": "text: "}, "", "text: "),
    ],
)
def test_each_family_has_its_prompts_and_options_replace_them(
    served_model: str, settings: dict[str, str], query: str, page: str
) -> None:
    with EmbeddingsStandIn() as server:
        model = embedder(server, served_model=served_model, **settings)
        model.embed(["save"], "query")
        model.embed(["save"], "page")
        assert server.texts == [f"{query}save", f"{page}save"]


def test_pages_are_cut_to_the_window_that_the_server_tells() -> None:
    with EmbeddingsStandIn(window=20) as server:
        model = embedder(server)
        text = "größe " * 40
        cuts = model.cuts(text, 0)
        assert "".join(text[begin:end] for begin, end in cuts) == text
        assert all(len(text[begin:end].encode()) <= 12 * 3 for begin, end in cuts)
        assert model.cuts("short", 0) == [(0, 5)] and model.cuts("", 0) == []


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (400, b'{"message": "prompt too long"}', 'HTTP 400: {"message": "prompt too long"}'),
        (401, b"no key", "HTTP 401: no key"),
        (200, b"<html>", "its reply is no JSON"),
        (200, b"[]", "its reply is no JSON object"),
        (200, b'{"data": []}', "one vector of numbers for each of 1 texts"),
        (200, b'{"data": [{"index": 0}]}', "has no embeddings"),
        (200, b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}', "one vector of numbers"),
    ],
)
def test_a_failure_names_its_cause_and_is_not_tried_again(status: int, body: bytes, cause: str) -> None:
    with EmbeddingsStandIn(lambda _: (status, body)) as server:
        with pytest.raises(InputError) as caught:
            embedder(server).embed(["save"], "query")
        assert cause in str(caught.value) and server.url in str(caught.value)
        assert len(server.requests) == 1


def test_a_busy_server_is_asked_again_and_one_that_stays_away_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_server, "WAITS_S", (0.0, 0.0))
    with EmbeddingsStandIn() as server:
        server.say = lambda request: (503, b"busy") if len(server.requests) < 3 else embeddings(request)
        assert embedder(server).embed(["save"], "query").shape == (1, WIDTH)
        server.say = lambda _: (429, b"slow down")
        with pytest.raises(InputError, match="the embeddings server failed: HTTP 429: slow down"):
            embedder(server).embed(["save"], "query")
        gone = embedder(server)
    with pytest.raises(InputError, match=r"the embeddings server failed: .*[Cc]onne"):
        gone.embed(["save"], "query")


def test_a_reply_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "MAX_REPLY_BYTES", 1 << 16)
    too_long = json.dumps({"data": "x" * (1 << 17)}).encode()
    with (
        EmbeddingsStandIn(lambda _: (200, too_long)) as server,
        pytest.raises(InputError, match="its reply is longer than"),
    ):
        embedder(server).embed(["save"], "query")
