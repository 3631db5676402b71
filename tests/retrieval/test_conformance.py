"""Every retriever of ours, and a foreign one, keeps the laws of retrievers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from conformance import RetrieverConformance
from toy_retriever import ToyIndex

import data_preprocess
import drag_rl
import reward
from drag_rl.files.fingerprint import combined, fingerprint_files
from drag_rl.files.manifest import write_manifest
from drag_rl.retrieval import IndexKind, Retriever
from drag_rl.retrieval.build import write_index
from drag_rl.retrieval.index_folder import STAGE
from drag_rl.retrieval.sparse.index import Bm25Index

PACKAGES = (drag_rl, reward, data_preprocess)


def test_only_the_retrieval_layer_knows_a_back_end() -> None:
    seams = (
        r"base|blocking|build|build_progress|combine\.methods|documents|kinds|open|page_texts|parts|index_folder|readable|stopwords|tokenizer"
        r"|late\.(?:embedder|heat_map|heat_drawing)"
    )
    models = "model|model_files|reader_model|page_grid|encoder|loading|saving|checkpoint"
    trained = rf"|late\.(?:{models})|dense\.model_files"
    for package in PACKAGES:
        root = Path(package.__path__[0])
        for path in root.rglob("*.py"):
            place = path.relative_to(root.parent).parts
            if "retrieval" in place:
                continue
            known = seams + trained if place[:2] == ("drag_rl", "training") else seams  # models, not indexes
            back_ends = re.compile(rf"drag_rl\.retrieval\.(?!(?:{known})\b)\w+")
            assert not back_ends.findall(path.read_text(encoding="utf-8")), path


def built(folder: Path, texts: Mapping[str, str], index: IndexKind) -> Retriever:
    """The retriever of an index folder of these pages."""
    write_index(folder, texts, index)
    files = fingerprint_files(folder)
    return index.open(folder, write_manifest(folder, stage=STAGE, fingerprint=combined(files)))


class TestBm25(RetrieverConformance):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        return built(folder, texts, Bm25Index())


class TestBm25ByPassages(RetrieverConformance):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        return built(folder, texts, Bm25Index(passage_tokens=5))


class TestBm25WithoutStemmerOrStopWords(RetrieverConformance):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        return built(folder, texts, Bm25Index(stemmer="none", stopwords="none", method="atire", k1=0.9))


class TestToy(RetrieverConformance):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        return built(folder, texts, ToyIndex())
