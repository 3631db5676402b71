"""Opening a late index, and what searches it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image

from drag_rl.corpus.images import PageImages
from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.index_folder import pages_dir_of
from drag_rl.retrieval.late.amx_scorer import AmxScorer, multiplies
from drag_rl.retrieval.late.embedder import open_multi_vector_embedder
from drag_rl.retrieval.late.finder import LateFinder
from drag_rl.retrieval.late.index import MODEL, LateIndex
from drag_rl.retrieval.late.page_source import most_pixels
from drag_rl.retrieval.late.retriever import LateRetriever
from drag_rl.retrieval.late.scorer import CpuScorer, FirstLook, Scorer
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.page_texts import PageTexts


def open_late(index: LateIndex, folder: Path, manifest: Manifest) -> LateRetriever:
    """The retriever of an index folder. Raises ``InputError`` if its model is another now, or its files do not fit."""
    embedder = open_multi_vector_embedder(index.embedder_settings)
    if manifest.inputs.get(MODEL) != embedder.fingerprint:
        raise InputError(f"{folder}: {index.model} is not the model that saw its pages; run drag index again")
    pages = PageTexts.open(folder)
    store = Store.open(folder, len(pages))

    @cache
    def images() -> PageImages:
        pages_dir = pages_dir_of(folder, manifest)
        if pages_dir is None:
            raise InputError(f"{folder}: its folder of pages is gone, so that page images cannot be shown")
        return PageImages(pages_dir, max_pixels=most_pixels(index.max_visual_tokens))

    def page_image(page_id: str) -> Image.Image:
        return images().load(page_id)

    def finder() -> LateFinder:
        return LateFinder(store, scorer_for(store, index.prefilter, index.search_device), index.rescored)

    return LateRetriever(pages, manifest.fingerprint, embedder, finder, page_image, pool=index.pool)


def scorer_for(store: Store, look: FirstLook, device: str = "cpu") -> Scorer:
    """What scores the pages of a store on a device. Raises ``InputError`` for one that is not there."""
    if device != "cpu":
        from drag_rl.retrieval.late.torch_scorer import TorchScorer

        return TorchScorer(store, device, look)
    return AmxScorer(store, look) if multiplies(store) else CpuScorer(store, look)
