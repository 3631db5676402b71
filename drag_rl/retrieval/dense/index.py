"""The dense index: its options, its files and its retriever."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args, get_type_hints

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import file_fingerprint
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.dense.embedder import EmbedderSettings, open_embedder
from drag_rl.retrieval.dense.faiss_index import FAISS_FILE, FaissIndex, FaissSettings, Structure, write_faiss
from drag_rl.retrieval.dense.finders import Candidates, Finder, WholeCorpus
from drag_rl.retrieval.dense.foreign import write_foreign
from drag_rl.retrieval.dense.passage_scores import PassageScores
from drag_rl.retrieval.dense.passages import PASSAGES, Passages
from drag_rl.retrieval.dense.retriever import DenseRetriever
from drag_rl.retrieval.dense.vectors import VECTORS, Known, Number, write_vectors
from drag_rl.retrieval.earlier import Earlier
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.mapped import mapped_array
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.unfinished import forget_unfinished

MODEL = "model"
"""In the manifest's ``inputs``: the fingerprint of the model."""


@dataclass(frozen=True, kw_only=True)
class DenseIndex(IndexKind):
    """The options of ``drag index --kind dense``. Raises ``InputError`` for values out of range."""

    packages: ClassVar[tuple[str, ...]] = ("faiss-cpu", "sentence-transformers", "torch", "transformers")
    model: Annotated[
        str, "What embeds: a folder, a hub id, or the address of an embeddings server (http://HOST:PORT/v1)."
    ] = "Qwen/Qwen3-Embedding-0.6B"
    served_model: Annotated[str | None, "What the server of --model calls its model."] = None
    query_prompt: Annotated[str | None, "Text before a query; the model's own by default."] = None
    page_prompt: Annotated[str | None, "Text before a passage; the model's own by default."] = None
    max_tokens: Annotated[int, "Window in tokens; the model's own, up to 8192, by default."] = 0
    passage_tokens: Annotated[int, "Longest passage in tokens; what the window holds by default."] = 0
    device: Annotated[str, "Where the model runs: cpu, cuda ...; a GPU if there is one."] = ""
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        "What the model computes in; auto: bfloat16 on a GPU.",
    ] = "auto"
    batch_size: Annotated[int, "Passages that the model reads at a time."] = 32
    trust_remote_code: Annotated[bool, "Run Python code that comes with the model."] = False
    vectors: Annotated[Number, "How vectors are stored."] = "float32"
    faiss: Annotated[Structure, "How vectors are searched; flat is exact."] = "flat"
    faiss_device: Annotated[Literal["cpu", "gpu"], "Where faiss searches."] = "cpu"
    faiss_file: Annotated[str | None, "A faiss index that another program made of the pages, by --model."] = (
        None
    )
    id_mapping: Annotated[
        str | None, "Its documents, by the number of their vector: a pickle of a dict or list."
    ] = None
    nlist: Annotated[int, "ivf, ivfpq: lists of vectors; by the number of vectors by default."] = 0
    nprobe: Annotated[int, "ivf, ivfpq: lists that a query looks into; a sixteenth by default."] = 0
    m: Annotated[int, "ivfpq: pieces of a vector."] = 32
    nbits: Annotated[int, "ivfpq: bits of the code of a piece."] = 8
    hnsw_m: Annotated[int, "hnsw: neighbours of a vector."] = 32
    ef_construction: Annotated[int, "hnsw: vectors looked at for each that is added."] = 200
    ef_search: Annotated[int, "hnsw: vectors looked at for a query, at least."] = 128
    exact_to: Annotated[int, "Pages that ivf, ivfpq and hnsw rank for a query."] = 1000

    def __post_init__(self) -> None:
        """A folder is kept as its whole path, so that the index can be opened from anywhere."""
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, known = getattr(self, field.name), get_args(hints[field.name])
            option = f"--{field.name.replace('_', '-')}"
            if known and all(isinstance(one, str) for one in known) and value not in known:
                raise InputError(f"{option} {value!r} is not known; choose {', '.join(known)}")
            least = 0 if field.name in ("max_tokens", "passage_tokens", "nlist", "nprobe") else 1
            if hints[field.name] is int and value < least:
                raise InputError(f"{option} must be {least} or more, not {value}")
        if self.nbits > 12:
            raise InputError(f"--nbits must be between 1 and 12, not {self.nbits}")
        if (self.faiss_file is None) != (self.id_mapping is None):
            raise InputError("--faiss-file and --id-mapping go together: give both, or neither")
        if Path(self.model).is_dir():
            object.__setattr__(self, "model", str(Path(self.model).resolve()))

    @property
    def embedder_settings(self) -> EmbedderSettings:
        """Which model embeds, and how."""
        return EmbedderSettings(
            **{field.name: getattr(self, field.name) for field in fields(EmbedderSettings)}
        )

    @property
    def faiss_settings(self) -> FaissSettings | None:
        """How faiss searches; None where every vector is looked at without it."""
        if self.faiss == "flat" and self.faiss_device == "cpu":
            return None
        same = {field.name for field in fields(FaissSettings)} - {"structure", "gpu"}
        own = {name: getattr(self, name) for name in same}
        return FaissSettings(structure=self.faiss, gpu=self.faiss_device == "gpu", **own)

    def inputs(self) -> dict[str, str]:
        """The model, and the files of another program's index."""
        foreign = {"faiss file": self.faiss_file, "id mapping": self.id_mapping}
        try:
            files = {name: file_fingerprint(Path(path)) for name, path in foreign.items() if path is not None}
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error
        return files | {MODEL: open_embedder(self.embedder_settings).fingerprint}

    def write(self, folder: Path, pages: PageTexts) -> None:
        """Embed every passage. Raises ``InputError`` for options that do not fit the number of vectors."""
        self._write(folder, pages, None)

    def update(self, folder: Path, pages: PageTexts, earlier: Earlier) -> None:
        """As :meth:`write`, with the vectors of unchanged pages as they are.

        New ones differ from those of :meth:`write` in their last bits only, as the batches that they are made in do.
        """
        if self.faiss_file is not None:
            self.write(folder, pages)
            return
        known = Known(
            passages=Passages.load(earlier.folder / PASSAGES),
            vectors=mapped_array(earlier.folder / VECTORS),
            rows=earlier.rows,
        )
        self._write(folder, pages, known)

    def done(self, index_dir: Path) -> None:
        """Remove the pieces that vectors were made in."""
        forget_unfinished(index_dir)

    def _write(self, folder: Path, pages: PageTexts, known: Known | None) -> None:
        embedder = open_embedder(self.embedder_settings)
        if self.faiss_file is not None and self.id_mapping is not None:
            write_foreign(folder, pages, embedder, Path(self.faiss_file), Path(self.id_mapping))
            return
        write_vectors(
            folder, pages, embedder, passage_tokens=self.passage_tokens, number=self.vectors, known=known
        )
        if settings := self.faiss_settings:
            write_faiss(folder / FAISS_FILE, mapped_array(folder / VECTORS), settings)

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> DenseRetriever:
        """The retriever of a folder; its model must be the one that embedded the pages, and is loaded when needed."""
        own = {
            field.name: manifest.config[field.name] for field in fields(cls) if field.name in manifest.config
        }
        index = cls(**own)
        pages = PageTexts.open(folder)

        embedder = open_embedder(index.embedder_settings)
        if manifest.inputs.get(MODEL) != embedder.fingerprint:
            raise InputError(
                f"{folder}: {index.model} is not the model that embedded its pages; run drag index again"
            )
        return DenseRetriever(
            pages, manifest.fingerprint, embedder, lambda: index._finder(folder, len(pages))
        )

    @classmethod
    def holds_model(cls, folder: Path, manifest: Manifest) -> bool:
        """Unless a server embeds."""
        del folder
        return not str(manifest.config["model"]).startswith(("http://", "https://"))

    def _finder(self, folder: Path, pages: int) -> Finder:
        passages = Passages.load(folder / PASSAGES)
        own = self.faiss_file is None
        scores = PassageScores(passages, mapped_array(folder / VECTORS), pages) if own else None
        if scores is not None and self.faiss_settings is None:
            return WholeCorpus(scores)
        gpu = self.faiss_device == "gpu"
        found = FaissIndex(folder / FAISS_FILE, nprobe=self.nprobe, ef_search=self.ef_search, gpu=gpu)
        candidates = Candidates(found.nearest, passages, self.exact_to, len(found), scores)
        if candidates.depth > found.most:
            raise InputError(
                f"--exact-to {self.exact_to}: takes {candidates.depth} vectors for a query, and a GPU finds "
                f"{found.most}; give less, or --faiss-device cpu"
            )
        return candidates
