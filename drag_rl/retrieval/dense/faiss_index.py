"""Approximate search by faiss. The only module that knows it; faiss hangs in a forked process: nothing here forks.

Shape letters: Q queries, K nearest vectors, V vectors, E numbers of a vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from drag_rl.errors import InputError
from drag_rl.retrieval.dense.embedder import Vectors
from drag_rl.retrieval.dense.passage_scores import Stored
from drag_rl.retrieval.ranked_pages import Scores

FAISS_FILE = "vectors.faiss"
Structure = Literal["flat", "ivf", "ivfpq", "hnsw"]
TRAINING_VECTORS = 256
"""For each centroid, as faiss itself would take at most."""
ROWS_AT_ONCE = 1 << 16
ONE_THREAD = 50_000
"""A graph of up to so many vectors is made by one thread: it is the same each time then."""
GPU_NEAREST = 2048
"""Vectors that a GPU finds for a query at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaissSettings:
    """How an approximate index is made."""

    structure: Structure
    nlist: int = 0
    """Lists of IVF; 0 takes 4 times the square root of the vectors, with 39 vectors each at least."""
    m: int = 32
    """Pieces of a vector, each a code of ``nbits``."""
    nbits: int = 8
    hnsw_m: int = 32
    ef_construction: int = 200
    gpu: bool = False
    """Whether GPUs search; they halve the precision themselves."""

    def check(self, vectors: int, width: int) -> None:
        """Raise ``InputError`` unless so many vectors of this width can be indexed so."""
        if self.gpu and self.structure == "hnsw":
            raise InputError(
                "--faiss-device gpu: faiss searches hnsw on the CPU only; give ivf, ivfpq or flat"
            )
        if self.structure in ("ivf", "ivfpq") and self.nlist > vectors:
            raise InputError(
                f"--nlist {self.nlist}: needs as many vectors, and there are {vectors}; give less, or 0"
            )
        if self.structure == "ivfpq":
            if width % self.m:
                fitting = [m for m in (8, 16, 24, 32, 48, 64, 96, 128) if width % m == 0]
                raise InputError(
                    f"--m {self.m}: does not divide the vectors' {width} numbers; give one of {fitting}"
                )
            if vectors < 1 << self.nbits:
                raise InputError(
                    f"--nbits {self.nbits}: needs {1 << self.nbits} vectors to learn codes from, and there are "
                    f"{vectors}; give less, or --faiss flat"
                )

    def lists(self, vectors: int) -> int:
        """How many lists IVF has."""
        return self.nlist or max(1, min(int(4 * vectors**0.5), vectors // 39))

    def key(self, vectors: int) -> str:
        """The index as faiss names it: vectors in half precision, as the stored ones give the scores; codes that are
        not ordered for a search by their bits (``np``), which takes long and is not used."""
        return {
            "flat": "Flat",
            "ivf": f"IVF{self.lists(vectors)},SQfp16",
            "ivfpq": f"IVF{self.lists(vectors)},PQ{self.m}x{self.nbits}np",
            "hnsw": f"HNSW{self.hnsw_m},SQfp16",
        }[self.structure]


def faiss_module() -> Any:
    """The library. Raises ``InputError`` without it."""
    try:
        import faiss
    except ImportError as error:
        raise InputError(f"--kind dense needs faiss ({error}): pip install 'drag-rl[retrieval]'") from error
    return faiss


def write_faiss(path: Path, vectors_VE: Stored, settings: FaissSettings) -> None:
    """Write the index of vectors of length 1; the same vectors give the same file, a large graph apart.

    Raises ``InputError`` for settings that do not fit them.
    """
    faiss = faiss_module()
    count, width = vectors_VE.shape
    settings.check(count, width)
    index = faiss.index_factory(width, settings.key(count), faiss.METRIC_INNER_PRODUCT)
    if settings.structure == "hnsw":
        index.hnsw.efConstruction = settings.ef_construction
    if not index.is_trained:
        most = TRAINING_VECTORS * max(settings.lists(count), 1 << settings.nbits)
        some = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
        _quietly(faiss, index)
        index.train(_single(vectors_VE[some]))
    threads = faiss.omp_get_max_threads()
    try:
        if settings.structure == "hnsw" and count <= ONE_THREAD:
            faiss.omp_set_num_threads(1)
        for begin in range(0, count, ROWS_AT_ONCE):
            index.add(_single(vectors_VE[begin : begin + ROWS_AT_ONCE]))
    finally:
        faiss.omp_set_num_threads(threads)
    faiss.write_index(index, str(path))


class FaissIndex:
    """An index of faiss, memory-mapped where it can be; use it in one thread at a time."""

    def __init__(self, path: Path, *, nprobe: int = 0, ef_search: int = 0, gpu: bool = False) -> None:
        """``nprobe`` 0 looks into a sixteenth of the lists of IVF, at least 8; ``ef_search`` is of a graph.

        Raises ``InputError`` if the file is no such index.
        """
        faiss = faiss_module()
        self._index = _read(faiss, path, mapped=not gpu)
        self._similar = self._index.metric_type == faiss.METRIC_INNER_PRODUCT
        if self._index.metric_type not in (faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2):
            raise InputError(
                f"{path}: measures neither inner products nor squared distances; make it with one of them"
            )
        if (ivf := faiss.try_extract_index_ivf(self._index)) is not None:
            ivf.nprobe = min(ivf.nlist, nprobe or max(8, ivf.nlist // 16))
        elif ef_search and hasattr(self._index, "hnsw"):
            self._index.hnsw.efSearch = ef_search
        if gpu:
            self._index = _on_gpus(faiss, self._index)
        self._most = GPU_NEAREST if gpu else len(self)

    @property
    def most(self) -> int:
        """How many vectors a query can find."""
        return self._most

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def width(self) -> int:
        """Numbers of a vector (E)."""
        return int(self._index.d)

    def nearest(self, queries_QE: Vectors, count: int) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Scores, higher is better, and numbers of the nearest vectors, shapes (Q, K); -1 where there are no more."""
        scores, vectors = self._index.search(np.ascontiguousarray(queries_QE), min(count, self._most))
        return (scores if self._similar else -scores), vectors


def _read(faiss: Any, path: Path, *, mapped: bool) -> Any:
    """Memory-mapped, if that is wanted and faiss can map this structure."""
    with path.open("rb") as file:
        lists = file.read(2) == b"Iw"  # how the files of IVF begin; they are mapped in a way of their own
    mapping = faiss.IO_FLAG_MMAP if lists else faiss.IO_FLAG_MMAP_IFC
    error: RuntimeError | None = None
    for flags in (mapping | faiss.IO_FLAG_READ_ONLY, 0) if mapped else (0,):
        try:
            return faiss.read_index(str(path), flags)
        except RuntimeError as failed:
            error = failed
    raise InputError(
        f"{path}: is no index that faiss {faiss.__version__} can read: {_line(error)}"
    ) from error


def _on_gpus(faiss: Any, index: Any) -> Any:
    """Copies of the index on all GPUs, in half precision."""
    if not getattr(faiss, "get_num_gpus", lambda: 0)():
        raise InputError(
            "--faiss-device gpu: this faiss finds no GPU; install faiss-gpu-cu12 in place of faiss-cpu, or build the "
            "index with --faiss-device cpu"
        )
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = True
    options.shard = True
    try:
        return faiss.index_cpu_to_all_gpus(index, options)
    except RuntimeError as error:
        raise InputError(
            f"--faiss-device gpu: faiss does not put this index there: {_line(error)}"
        ) from error


def _quietly(faiss: Any, index: Any) -> None:
    """Let few vectors train without a warning for each codebook: what is too few has been refused."""
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:
        ivf = faiss.downcast_index(ivf)
        ivf.cp.min_points_per_centroid = 1
        if hasattr(ivf, "pq"):
            ivf.pq.cp.min_points_per_centroid = 1


def _single(vectors: Stored) -> Vectors:
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _line(error: Exception | None) -> str:
    return " ".join(str(error).split())[-200:]
