"""What tests of late interaction share: a tiny retriever model of random weights, and page images of several sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from late_lab import tiles_installed
from PIL import Image
from shared_world import built_once

from drag_rl.retrieval.late.embedder import MultiVectorSettings

SIZES = ((256, 256), (300, 200), (96, 224), (200, 300), (64, 64))
"""Width and height of the page images; the tiny model reads 4 to 64 tokens of 32 x 32 pixels."""


@pytest.fixture(scope="session")
def tiny_late_model(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny Qwen3-VL with a drawn projection to 128 numbers: a retriever model's folder."""
    from drag_rl.retrieval.late.new_model import create_retriever_model

    return built_once(
        tmp_path_factory,
        "late",
        lambda out: create_retriever_model(str(tiny_model), out, max_visual_tokens=64),
    )


@pytest.fixture(scope="session")
def late_settings(tiny_late_model: Path) -> MultiVectorSettings:
    """That model on the CPU in float32."""
    return MultiVectorSettings(model=str(tiny_late_model), device="cpu", dtype="float32", batch_size=2)


@pytest.fixture(scope="session")
def page_images() -> list[Image.Image]:
    """Five page images of random pixels."""
    drawn = np.random.default_rng(0)
    return [
        Image.fromarray(drawn.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in SIZES
    ]


@pytest.fixture
def tiles(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """While it lasts, ``--model tiles`` reads pages of ``late_lab``."""
    with tiles_installed(tmp_path) as options:
        yield options
