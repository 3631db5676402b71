"""The late-interaction index: its options, its files and its retriever."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args, get_type_hints

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.late.embedder import EMBEDDERS, MultiVectorSettings

if TYPE_CHECKING:
    from drag_rl.retrieval.late.retriever import LateRetriever

MODEL, IMAGES = "model", "images"
"""In the manifest's ``inputs``: the fingerprints of the model, and of all that the page images depend on."""
BEST_PAGES = 10
"""The best pages that a search is to find, for each of which ``rescore_ratio`` pages are looked at closely."""


@dataclass(frozen=True, kw_only=True)
class LateIndex(IndexKind):
    """The options of ``drag index --kind late``. Raises ``InputError`` for values out of range."""

    packages: ClassVar[tuple[str, ...]] = (
        "pymupdf",
        "sentence-transformers",
        "torch",
        "transformers",
        "peft",
    )
    model: Annotated[
        str, "What sees pages: a folder, a hub id, or the address of a pooling server (http://HOST:PORT/v1)."
    ] = ""
    served_model: Annotated[str | None, "What the server of --model calls its model."] = None
    adapter: Annotated[str | None, "A PEFT adapter that is loaded onto the model: a folder or hub id."] = None
    device: Annotated[
        str,
        "Where the model runs: cpu, cuda ...; several with commas encode together. All GPUs, if there are any.",
    ] = ""
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        "What the model computes in; auto: bfloat16 on a GPU, and for a reader on a CPU fast in it.",
    ] = "auto"
    batch_size: Annotated[int, "Page images of the largest size in a batch, or more smaller ones."] = 8
    load_in_4bit: Annotated[bool, "Load the model's weights in 4 bits (NF4)."] = False
    max_visual_tokens: Annotated[
        int, "Vectors of a page before pooling, at most; the model's own limit by default."
    ] = 0
    attention: Annotated[
        Literal["auto", "sdpa", "flash_attention_2", "eager"],
        "How attention is computed; auto: by flash attention where it is installed.",
    ] = "auto"
    trust_remote_code: Annotated[bool, "Run Python code that comes with the model."] = False
    pool: Annotated[int, "Token pooling: one vector is kept of so many; 1 keeps all."] = 3
    binary: Annotated[
        bool, "Search bits first, a thirty-second of the vectors; else all vectors of all pages."
    ] = True
    rescore_ratio: Annotated[
        int, f"Pages whose vectors are looked at, for each of the {BEST_PAGES} best; so many ranks are known."
    ] = 10
    prefilter: Annotated[
        Literal["hamming", "asymmetric"], "How bits are searched: by the query's bits, or by its numbers."
    ] = "hamming"
    search_device: Annotated[str, "What searches: cpu, or a GPU such as cuda."] = "cpu"

    def __post_init__(self) -> None:
        """A folder is kept as its whole path, so that the index can be opened from anywhere."""
        if not self.model:
            raise InputError(
                "--model is missing: what sees the pages, a folder, a hub id or a server's address"
            )
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, known = getattr(self, field.name), get_args(hints[field.name])
            option = f"--{field.name.replace('_', '-')}"
            if known and all(isinstance(one, str) for one in known) and value not in known:
                raise InputError(f"{option} {value!r} is not known; choose {', '.join(known)}")
            least = 0 if field.name == "max_visual_tokens" else 1
            if hints[field.name] is int and value < least:
                raise InputError(f"{option} must be {least} or more, not {value}")
        for name in ("model", "adapter"):
            path = getattr(self, name)
            if path and path not in EMBEDDERS and Path(path).is_dir():
                object.__setattr__(self, name, str(Path(path).resolve()))

    @property
    def embedder_settings(self) -> MultiVectorSettings:
        """Which model embeds queries, and how."""
        same = {field.name: getattr(self, field.name) for field in fields(MultiVectorSettings)}
        return MultiVectorSettings(**same | {"device": self.device.split(",")[0].strip()})

    @property
    def rescored(self) -> int | None:
        """How many pages of a query are ranked by their vectors; None: all."""
        return self.rescore_ratio * BEST_PAGES if self.binary else None

    # What builds and searches is imported when it is used: `drag index --help` does neither.

    def of_pages(self, pages_dir: Path) -> IndexKind:
        """What encodes the page images of a folder. Raises ``InputError`` for one that has none."""
        from drag_rl.retrieval.late.build import LateBuild
        from drag_rl.retrieval.late.page_source import RenderedPages

        return LateBuild(options=self, source=RenderedPages(pages_dir, self.max_visual_tokens))

    @classmethod
    def of_manifest(cls, manifest: Manifest) -> LateIndex:
        """The options that an index was made with."""
        names = [field.name for field in fields(cls) if field.name in manifest.config]
        return cls(**{name: manifest.config[name] for name in names})

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> LateRetriever:
        """The retriever of a folder; its model must be the one that saw the pages, and is loaded when needed."""
        from drag_rl.retrieval.late.opening import open_late

        return open_late(cls.of_manifest(manifest), folder, manifest)

    @classmethod
    def check_pages(cls, folder: Path, manifest: Manifest, pages_dir: Path) -> None:
        """Raise ``InputError`` unless the page images are those that were encoded."""
        from drag_rl.retrieval.late.page_source import RenderedPages

        index = cls.of_manifest(manifest)
        if RenderedPages(pages_dir, index.max_visual_tokens).fingerprint != manifest.inputs.get(IMAGES):
            raise InputError(
                f"{folder} was not made from the page images of {pages_dir} as they are now; run drag index again"
            )

    @classmethod
    def holds_model(cls, folder: Path, manifest: Manifest) -> bool:
        """Unless a server embeds."""
        del folder
        return not str(manifest.config["model"]).startswith(("http://", "https://"))
