"""Whether an index is whole, is that of its pages, and can embed where it has a model for that."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from drag_rl.doctor.check import Doubt
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval import open_retriever
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.index_folder import FILES, check_corpus, kind_of, verify_files
from drag_rl.retrieval.parts import part_folders

EMBEDDED_PAGES = 16
SAME_DIRECTION = 0.999
"""The least cosine of a text's vector in a batch and alone; less is more than the rounding of half precision."""


@runtime_checkable
class Embedder(Protocol):
    """A model that makes vectors of texts."""

    @property
    def fingerprint(self) -> str:
        """Which model it is."""

    def embed(self, texts: Sequence[str], role: Literal["query", "page"]) -> npt.NDArray[np.float32]:
        """The vectors of N texts, of E numbers each: (N, E)."""


@runtime_checkable
class Embeds(Protocol):
    """A retriever that has such a model; any kind of index may."""

    @property
    def embedder(self) -> Embedder:
        """The model."""


def opened(index: Path, loaded: list[Retriever]) -> str | Doubt:
    """Open the index, into ``loaded``; what kind it is and how large."""
    started = time.perf_counter()
    retriever = open_retriever(index)
    seconds = time.perf_counter() - started
    loaded.append(retriever)
    kinds = [kind_of(read_manifest(folder)) for folder in _with_parts(index)]
    parts = f" of {', '.join(kinds[1:])}" if kinds[1:] else ""
    held = sum(_bytes(folder) for folder in _with_parts(index))
    found = f"{kinds[0]}{parts}, {len(retriever.pages)} pages, {held / 1e6:.1f} MB, opened in {seconds * 1000:.0f} ms"
    return found if len(retriever.pages) else Doubt(f"{found}; no page can be found: ingest pages with text")


def whole(index: Path) -> str:
    """Read every byte of the index and of its parts."""
    started = time.perf_counter()
    files = sum(len(verify_files(folder).config[FILES]) for folder in _with_parts(index))
    return f"all {files} are as they were written, to the last byte (read in {time.perf_counter() - started:.1f} s)"


def of_pages(index: Path, pages: Path) -> str:
    """Whether the index was made from the pages as they are now."""
    check_corpus(index, read_manifest(index), pages)
    counts = read_manifest(pages).counts
    failed = counts.get("pages_failed", 0)
    unread = f", {failed} of them could not be read and are not in it" if failed else ""
    return f"the index was made from {pages} as it is now: {counts.get('pages', 0)} pages{unread}"


def with_parts(index: Path, retriever: Retriever) -> list[Retriever]:
    """The retriever of an index, and those of its parts and of theirs."""
    return [retriever, *(open_retriever(folder) for folder in [*_with_parts(index)][1:])]


def embedders(retrievers: Sequence[Retriever]) -> list[Embedder]:
    """The models of texts that retrievers have, each once."""
    models = [one.embedder for one in retrievers if isinstance(one, Embeds)]
    return list({model.fingerprint: model for model in models if isinstance(model, Embedder)}.values())


def embeds(embedder: Embedder, texts: Sequence[str]) -> str | Doubt:
    """Embed some texts: how long a vector is, how many a second, and whether a batch gives what each gives alone."""
    embedder.embed(texts[:1], "query")  # loads the model
    alone_s, alone = [], []
    for text in texts:
        started = time.perf_counter()
        alone.append(embedder.embed([text], "page")[0])
        alone_s.append(time.perf_counter() - started)
    started = time.perf_counter()
    together = embedder.embed(texts, "page")
    batch_s = time.perf_counter() - started
    if not np.isfinite(together).all() or not np.all(np.linalg.norm(together, axis=1) > 0):
        raise InputError(
            "the model gives vectors without a direction: give another --dtype, or another model"
        )
    least = _least_cosine(np.stack(alone), together)
    found = (
        f"{together.shape[1]} numbers a vector, one text in {median(alone_s) * 1000:.0f} ms, {len(texts)} together "
        f"{len(texts) / batch_s:.0f} texts/s"
    )
    if least < SAME_DIRECTION:
        return Doubt(
            f"{found}; a text has another vector in a batch than alone (cosine {least:.4f}): the model does not leave "
            "padding out; set its padding side or use --batch-size 1"
        )
    return f"{found}, a batch equals single texts"


def _least_cosine(one_NE: npt.NDArray[np.float32], other_NE: npt.NDArray[np.float32]) -> float:
    norms = np.linalg.norm(one_NE, axis=1) * np.linalg.norm(other_NE, axis=1)
    return float(np.min(np.sum(one_NE * other_NE, axis=1) / norms))


def _with_parts(index: Path) -> Iterator[Path]:
    """The folder of an index, then those of its parts and of theirs."""
    yield index
    for part in part_folders(index):
        yield from _with_parts(part)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
