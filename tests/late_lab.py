"""Late-interaction indexes without a model: pages drawn of tiles, one for each word, and an embedder that reads tiles.

A word's tile is a pattern of its own, 32 x 32 pixels, as large as what a vector of Qwen3-VL stands for. The embedder
looks at pixels only, and a page's vectors do not depend on the batch, to the last bit. ``--model tiles`` opens it while
``tiles_installed`` lasts, as any embedder of an installed package.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from installed import installed
from PIL import Image

from drag_rl.corpus.image_pages import DPI
from drag_rl.corpus.images import PageImages
from drag_rl.corpus.pages import write_pages as write_pages_dir
from drag_rl.corpus.renderer import PageRenderError
from drag_rl.files.fingerprint import combined, fingerprint_files
from drag_rl.files.manifest import sha256_file, write_manifest
from drag_rl.retrieval import build_index, open_retriever
from drag_rl.retrieval.build import write_index
from drag_rl.retrieval.index_folder import FILES, FORMAT, FORMAT_NOW, KIND, STAGE, files_of
from drag_rl.retrieval.late.build import LateBuild
from drag_rl.retrieval.late.embedder import EMBEDDERS, MultiVectorSettings, PageVectors, Vectors
from drag_rl.retrieval.late.index import LateIndex
from drag_rl.retrieval.late.page_source import Load
from drag_rl.retrieval.late.retriever import LateRetriever
from drag_rl.types import Page

MODEL = "tiles"
TILE, COLUMNS, WIDTH = 32, 4, 128
"""Pixels of a tile's side, tiles of a line, numbers of a vector."""
UNREADABLE = "unreadable"
"""A page that begins with this word has no image."""


@cache
def tile(word: str) -> np.ndarray:
    """The pattern of a word: 8 x 8 squares, black or white."""
    bits = np.frombuffer(hashlib.sha256(word.casefold().encode("utf-8", "replace")).digest()[:8], np.uint8)
    return np.kron(np.unpackbits(bits).reshape(8, 8) * np.uint8(255), np.ones((4, 4), np.uint8))


def drawn(text: str) -> Image.Image:
    """A page of words, line by line; a page without a word is white."""
    words = text.split() or [""]
    lines = -(-len(words) // COLUMNS)
    pixels = np.full((lines * TILE, COLUMNS * TILE), 255, np.uint8)
    for place, word in enumerate(text.split()):
        top, left = place // COLUMNS * TILE, place % COLUMNS * TILE
        pixels[top : top + TILE, left : left + TILE] = tile(word)
    return Image.fromarray(pixels).convert("RGB")


class TileEmbedder:
    """Sees tiles; ``embedded`` are the sizes of the batches that it was given."""

    def __init__(self, settings: MultiVectorSettings) -> None:
        self._settings = settings
        self._turn = np.random.default_rng(0).normal(size=(TILE * TILE // 16, WIDTH)).astype(np.float32)
        self.embedded: list[int] = []
        self.asked: list[list[str]] = []

    @property
    def fingerprint(self) -> str:
        return combined({"model": MODEL, "adapter": str(self._settings.adapter)})

    @property
    def width(self) -> int:
        return WIDTH

    def embed_pages(self, images: Sequence[Image.Image]) -> list[PageVectors]:
        self.embedded.append(len(images))
        return [self._page(np.asarray(image.convert("L"), np.float32)) for image in images]

    def embed_queries(self, texts: Sequence[str]) -> list[Vectors]:
        self.asked.append(list(texts))
        return [
            np.concatenate([self._seen(tile(word).astype(np.float32)) for word in text.split()])
            for text in texts
        ]

    def query_tokens(self, text: str) -> list[str]:
        return text.split()

    def visual_tokens(self, width: int, height: int) -> int:
        return -(-width // TILE) * -(-height // TILE)

    def _page(self, pixels: np.ndarray) -> PageVectors:
        rows, columns = (-(-side // TILE) for side in pixels.shape)
        padded = np.pad(
            pixels,
            ((0, rows * TILE - pixels.shape[0]), (0, columns * TILE - pixels.shape[1])),
            constant_values=255,
        )
        cells = padded.reshape(rows, TILE, columns, TILE).swapaxes(1, 2).reshape(-1, TILE, TILE)
        return PageVectors(vectors=np.concatenate([self._seen(cell) for cell in cells]), grid=(rows, columns))

    def _seen(self, cell: np.ndarray) -> Vectors:
        """The vector of one tile, shape (1, E): of its squares' brightness, turned at random."""
        squares = cell.reshape(8, 4, 8, 4).mean(axis=(1, 3)).reshape(1, -1) / 255 - 0.5
        vector = squares.astype(np.float32) @ self._turn
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@contextmanager
def tiles_installed(folder: Path) -> Iterator[dict[str, Any]]:
    """While it lasts, ``--model tiles`` is the embedder of tiles; gives the options of an index of all its vectors."""
    with installed(folder / "site", EMBEDDERS, MODEL, "late_lab:TileEmbedder"):
        yield {"model": MODEL, "pool": 1}


@dataclass(frozen=True)
class DrawnTexts:
    """Pages drawn from their texts; ``loaded`` are those whose images were asked for."""

    texts: Mapping[str, str]
    max_pixels: int = 1 << 14
    loaded: list[str] = field(default_factory=list, compare=False)

    @property
    def fingerprint(self) -> str:
        return combined(self.texts)

    def key(self, page_id: str) -> str:
        return hashlib.sha256(self.texts[page_id].encode()).hexdigest()

    def size(self, page_id: str) -> tuple[int, int]:
        return drawn(self.texts[page_id]).size

    def loading(self, work: Path, at_once: int) -> AbstractContextManager[Load]:
        del work, at_once

        @contextmanager
        def loading() -> Iterator[Load]:
            yield self._load

        return loading()

    def _load(self, page_id: str) -> Image.Image:
        self.loaded.append(page_id)
        if self.texts[page_id].startswith(UNREADABLE):
            raise PageRenderError("damaged")
        return drawn(self.texts[page_id])


def write_drawn(folder: Path, texts: Mapping[str, str], **options: Any) -> LateBuild:
    """Write the files of an index of drawn texts, its manifest too, into an empty folder; returns what made them."""
    build = LateBuild(options=LateIndex(**{"model": MODEL, "pool": 1} | options), source=DrawnTexts(texts))
    folder.mkdir(parents=True, exist_ok=True)
    write_index(folder, texts, build)
    config = json.loads(json.dumps(asdict(build.options)))
    config |= {KIND: "late", FORMAT: FORMAT_NOW, FILES: files_of(folder)}
    write_manifest(
        folder,
        stage=STAGE,
        fingerprint=combined(fingerprint_files(folder)),
        inputs=build.inputs(),
        config=config,
    )
    build.done(folder)
    return build


def opened(folder: Path, texts: Mapping[str, str], **options: Any) -> LateRetriever:
    """The retriever of drawn texts; ``folder`` is empty. ``tiles_installed`` must last."""
    write_drawn(folder / "index", texts, **options)
    retriever = open_retriever(folder / "index")
    assert isinstance(retriever, LateRetriever)
    return retriever


def write_pages(pages_dir: Path, texts: Mapping[str, str]) -> Path:
    """A PAGES_DIR of drawn pages with these ids (of documents and numbers) and texts, made from image files."""
    images = pages_dir.parent / f"{pages_dir.name}-images"
    images.mkdir(parents=True, exist_ok=True)
    pages = []
    for page_id, text in texts.items():
        doc_id, _, number = page_id.rpartition("#")
        path = images / f"{doc_id}-{number}.png"
        image = drawn(text)
        image.save(path)
        page = Page(
            page_id=page_id,
            doc_id=doc_id,
            page_number=int(number),
            label="",
            text=text,
            width_pt=image.width,
            height_pt=image.height,
            source_file=path.name,
            source_sha256=sha256_file(path),
            text_source="ocr",
            status="ok",
            reason="",
        )
        if text.startswith(UNREADABLE):
            path.write_bytes(b"no image")
            page = replace(page, source_sha256=sha256_file(path))
        pages.append(page)
    pages.sort(key=lambda page: (page.doc_id, page.page_number))
    write_pages_dir(pages_dir, pages, stage="ingest", pdf_dir=None, image_dir=images, dpi=DPI)
    shown = PageImages(pages_dir)
    for page in pages:  # by the renderer of this process: an index that finds no image starts its own
        with suppress(PageRenderError):
            shown.path(page.page_id)
    return pages_dir


def indexed(folder: Path, texts: Mapping[str, str], **options: Any) -> LateRetriever:
    """The retriever of ``folder/index`` over drawn pages at ``folder/pages``. ``tiles_installed`` must last."""
    write_pages(folder / "pages", texts)
    build_index(folder / "pages", folder / "index", "late", **{"model": MODEL, "pool": 1} | options)
    retriever = open_retriever(folder / "index")
    assert isinstance(retriever, LateRetriever)
    return retriever
