"""The same folder in a real vLLM: its pooling endpoint gives our vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drag_rl.retrieval.late.embedder import MultiVectorSettings
from drag_rl.retrieval.late.local_model import LocalModel
from drag_rl.retrieval.late.page_grid import fitted
from drag_rl.retrieval.late.pooling_server import PoolingServer
from drag_rl.serving.vllm_process import vllm_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
TEXTS = ["Saving a workspace.", "Größe", "", "an <|image_pad|>, a <|im_end|>", "a longer question " * 20]


@pytest.fixture(scope="module")
def server(tiny_late_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolingServer]:
    log = tmp_path_factory.mktemp("late-vllm") / "log"
    extra = ["--runner", "pooling", "--max-model-len", "1024", "--dtype", "float32"]
    with vllm_server(str(tiny_late_model), name="late", adapters={}, extra=extra, log=log) as (url, key):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPENAI_API_KEY", key)
            found = PoolingServer(MultiVectorSettings(model=url, served_model="late", max_visual_tokens=64))
        yield found


def test_pages_and_queries_have_our_vectors(
    server: PoolingServer, late_settings: MultiVectorSettings, page_images: list[Image.Image]
) -> None:
    """To 1e-3 of a number: vLLM's attention and rotary embedding round otherwise in float32."""
    ours = LocalModel(late_settings)
    for _ in range(2):  # again, as vLLM keeps what it has read
        for image, page in zip(page_images, server.embed_pages(page_images), strict=True):
            (expected,) = ours.embed_pages([fitted(image, page.grid, 32)])
            assert page.grid == expected.grid
            assert np.abs(page.vectors - expected.vectors).max() < 1e-3
        expected_queries = ours.embed_queries(TEXTS)
        for text, found, wanted in zip(TEXTS, server.embed_queries(TEXTS), expected_queries, strict=True):
            assert found.shape == wanted.shape and np.abs(found - wanted).max() < 1e-3, text
    assert server.query_tokens(TEXTS[0]) == ours.query_tokens(TEXTS[0])
    assert server.width == ours.width == 128
