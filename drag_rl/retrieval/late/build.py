"""Making a late index of the pages of one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest, Problem
from drag_rl.retrieval.earlier import Earlier
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.late.embedder import EMBEDDERS, open_multi_vector_embedder
from drag_rl.retrieval.late.encoding import EncodingSettings, unseen_pages, write_page_vectors
from drag_rl.retrieval.late.index import IMAGES, MODEL, LateIndex
from drag_rl.retrieval.late.page_source import PageSource
from drag_rl.retrieval.late.retriever import LateRetriever
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.unfinished import forget_unfinished


@dataclass(frozen=True, kw_only=True)
class LateBuild(IndexKind):
    """A late index that is being made."""

    packages: ClassVar[tuple[str, ...]] = LateIndex.packages
    options: LateIndex
    source: PageSource
    """The images of its pages."""

    def inputs(self) -> dict[str, str]:
        """The model, and the page images."""
        embedder = open_multi_vector_embedder(self.options.embedder_settings)
        return {MODEL: embedder.fingerprint, IMAGES: self.source.fingerprint}

    def write(self, folder: Path, pages: PageTexts) -> None:
        """Encode every page image. Raises ``InputError`` if none can be seen."""
        self._write(folder, pages, None)

    def update(self, folder: Path, pages: PageTexts, earlier: Earlier) -> None:
        """As :meth:`write`, with the vectors of pages whose image has not changed as they are.

        The others are in other batches than they are in :meth:`write`, which may change the last bits of what the model
        computes, but not of what a model gives that computes a page by itself.
        """
        self._write(folder, pages, earlier.folder)

    def problems(self, folder: Path) -> list[Problem]:
        """The pages that cannot be seen."""
        return unseen_pages(folder)

    def done(self, index_dir: Path) -> None:
        """Remove the pieces that vectors were made in."""
        forget_unfinished(index_dir)

    def _write(self, folder: Path, pages: PageTexts, earlier: Path | None) -> None:
        options = self.options
        settings = EncodingSettings(
            model=options.embedder_settings,
            devices=_devices(options),
            pool=options.pool,
            binary=options.binary,
        )
        write_page_vectors(folder, pages, self.source, settings, earlier)

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> LateRetriever:
        """As a late index is opened."""
        return LateIndex.open(folder, manifest)


def _devices(options: LateIndex) -> tuple[str, ...]:
    """Where the model runs. Raises ``InputError`` for a list with a gap."""
    named = tuple(device.strip() for device in options.device.split(","))
    if len(named) > 1 and not all(named):
        raise InputError(
            f"--device {options.device}: give names with a comma between two, such as cuda:0,cuda:1"
        )
    if named != ("",) or options.model in EMBEDDERS or options.model.startswith(("http://", "https://")):
        return named
    import torch

    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) or ("",)
