"""The client of a pooling server: it cuts the image's vectors out of the answer, and says in a line what went wrong."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from embeddings_stand_in import EmbeddingsStandIn
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.retrieval import model_server
from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder
from drag_rl.retrieval.late.pooling_server import PoolingServer

Say = Callable[[dict[str, Any]], tuple[int, bytes]]


@pytest.fixture(scope="module")
def say(late_settings: MultiVectorSettings) -> Say:
    """What vLLM's server of the tiny model answers, by our encoder: all tokens of a prompt have a vector."""
    import torch

    from drag_rl.retrieval.late.loading import load_encoder

    encoder = load_encoder(late_settings).eval()
    tokenizer = encoder.tokenizer

    def rows(batch: dict[str, Any]) -> list[np.ndarray]:
        kept = batch["attention_mask"].bool()
        with torch.no_grad():
            out = encoder[0].model(**batch)
        return [row[keep].numpy() for row, keep in zip(out, kept, strict=True)]

    def answer(request: dict[str, Any]) -> tuple[int, bytes]:
        if "prompt" in request:
            ids = tokenizer(request["prompt"], add_special_tokens=False)["input_ids"]
            said = {"count": len(ids), "token_strs": tokenizer.convert_ids_to_tokens(ids)}
            return 200, json.dumps(said).encode()
        if "messages" in request:
            (part,) = request["messages"][0]["content"]
            data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            found = rows(encoder[0].pages.pages([Image.open(io.BytesIO(data))]))
        else:
            batch = tokenizer(
                request["input"], padding=True, return_tensors="pt", return_token_type_ids=False
            )
            found = rows(batch)
        data = [{"index": n, "data": base64.b64encode(row).decode()} for n, row in enumerate(found)]
        usage = {"prompt_tokens": sum(map(len, found))}
        return 200, json.dumps({"data": data[::-1], "usage": usage}).encode()

    return answer


def client(url: str, **options: Any) -> PoolingServer:
    settings = MultiVectorSettings(model=url, served_model="tiny", **({"max_visual_tokens": 64} | options))
    found = open_multi_vector_embedder(settings)
    assert isinstance(found, PoolingServer)
    return found


def test_it_gives_what_the_model_gives(
    say: Say, late_settings: MultiVectorSettings, page_images: list[Image.Image]
) -> None:
    local = open_multi_vector_embedder(late_settings)
    texts = ["how to stop an engine", "", "<|image_pad|>", "Größe"]
    with EmbeddingsStandIn(say) as server:
        remote = client(server.url)
        pages = remote.embed_pages(page_images[:4])
        queries = remote.embed_queries(texts)
        tokens = [remote.query_tokens(text) for text in texts]
        assert remote.width == 128
    assert {"task", "model", "encoding_format"} <= set(server.requests[0])
    assert tokens == [local.query_tokens(text) for text in texts]
    for text, mine, theirs in zip(texts, local.embed_queries(texts), queries, strict=True):
        assert mine.shape == theirs.shape and np.abs(mine - theirs).max() < 1e-5, text
    from drag_rl.retrieval.late.page_grid import fitted

    for image, page in zip(page_images, pages, strict=False):
        assert np.prod(page.grid) == len(page.vectors) == remote.visual_tokens(*image.size) <= 64
        (mine,) = local.embed_pages([fitted(image, page.grid, 32)])
        assert mine.grid == page.grid and np.abs(mine.vectors - page.vectors).max() < 1e-5


def test_a_server_that_sees_images_otherwise_is_refused(say: Say, page_images: list[Image.Image]) -> None:
    with (
        EmbeddingsStandIn(say) as server,
        pytest.raises(InputError, match=r"sees \d+ visual tokens in an image of"),
    ):
        client(server.url, max_visual_tokens=500).embed_pages([page_images[0].resize((1000, 500))])


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"no such model", "HTTP 404: no such model"),
        (200, b"[]", "no JSON object"),
        (200, b"{}", "its reply has no vectors"),
        (200, b'{"data": [{"index": 0, "data": "AAAA!"}], "usage": {"prompt_tokens": 1}}', "no vectors"),
        (200, b'{"data": [{"index": 0, "data": "AAAAAA=="}], "usage": {"prompt_tokens": 0}}', "no vectors"),
        (200, b'{"data": [{"index": 0, "data": "AAAAAA=="}], "usage": {"prompt_tokens": 3}}', "one vector"),
        (200, b'{"data": [{"index": 0, "data": "AADAfw=="}], "usage": {"prompt_tokens": 1}}', "no numbers"),
    ],
)
def test_a_failure_is_told_in_a_line(status: int, body: bytes, said: str) -> None:
    with EmbeddingsStandIn(lambda _: (status, body)) as server:
        with pytest.raises(InputError, match=said) as stop:
            client(server.url).embed_queries(["one"])
        assert "the pooling server failed" in str(stop.value) and "\n" not in str(stop.value)


def test_a_busy_server_is_asked_again(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "WAITS_S", (0.0, 0.0))
    refusals = [(503, b"busy"), (429, b"slower")]
    with EmbeddingsStandIn(lambda request: refusals.pop() if refusals else say(request)) as server:
        assert client(server.url).embed_queries(["one"])[0].shape[1] == 128
    with (
        EmbeddingsStandIn(lambda _: (503, b"busy")) as server,
        pytest.raises(InputError, match="HTTP 503: busy"),
    ):
        client(server.url).embed_queries(["one"])


def test_settings_of_a_server_are_checked() -> None:
    url = "http://127.0.0.1:1/v1"
    with pytest.raises(InputError, match="--served-model is missing"):
        PoolingServer(MultiVectorSettings(model=url))
    with pytest.raises(InputError, match="merged"):
        PoolingServer(MultiVectorSettings(model=url, served_model="x", adapter="y"))
    with pytest.raises(InputError, match="no way there"):
        PoolingServer(MultiVectorSettings(model="http://[::1", served_model="x"))


def test_it_is_known_by_its_model_and_what_is_sent() -> None:
    url = "http://127.0.0.1:1/v1"
    first = client(url).fingerprint
    assert client(url + "/").fingerprint == first == client("http://elsewhere:1/v1").fingerprint
    assert client(url, max_visual_tokens=0).fingerprint != first
