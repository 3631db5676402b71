"""Late indexes keep the laws of retrievers: all vectors, bits first, and as the second stage of another index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conformance import RetrieverConformance
from late_lab import opened, tiles_installed

from drag_rl.retrieval import Retriever


class _Late(RetrieverConformance):
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(scope="class", autouse=True)
    def tiles(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        with tiles_installed(tmp_path_factory.mktemp("tiles")):
            yield

    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        return opened(folder, texts, **self.options)


class TestAllVectors(_Late):
    options: ClassVar[dict[str, Any]] = {"binary": False}


class TestHammingFirst(_Late):
    options: ClassVar[dict[str, Any]] = {"rescore_ratio": 1}
    scope_keeps_order = False


class TestAsymmetricFirst(_Late):
    options: ClassVar[dict[str, Any]] = {"rescore_ratio": 1, "prefilter": "asymmetric"}
    scope_keeps_order = False
