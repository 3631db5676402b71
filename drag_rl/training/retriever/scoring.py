"""How the encoder that is being trained ranks pages: MaxSim of every question with every page, without an index."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from PIL import Image
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder
from torch import Tensor

QUERIES_AT_A_TIME = 64
PAGES_AT_A_TIME = 256
"""Page images that are open at a time, and whose vectors are scored together."""


def score_pages(
    encoder: MultiVectorEncoder,
    texts: Sequence[str],
    page_ids: Sequence[str],
    load: Callable[[str], Image.Image],
    *,
    batch_size: int,
) -> Tensor:
    """Scores of each text with each page, higher is better, float32 on the CPU, shape (texts, pages).

    The vectors of at most 256 pages are in memory at a time. ``load`` gives the image of a page id, ``batch_size``
    images go through the model together.
    """
    scores = torch.empty(len(texts), len(page_ids))
    with torch.inference_mode():
        queries = encoder.encode_query([*texts], batch_size=QUERIES_AT_A_TIME, show_progress_bar=False)
        for begin in range(0, len(page_ids), PAGES_AT_A_TIME):
            part = page_ids[begin : begin + PAGES_AT_A_TIME]
            images = [load(page_id) for page_id in part]
            pages = encoder.encode_document(images, batch_size=batch_size, show_progress_bar=False)
            scores[:, begin : begin + len(part)] = encoder.similarity(queries, pages).float().cpu()
    return scores


def some_pages(wanted: Sequence[str], page_ids: Sequence[str], at_most: int, seed: int) -> list[str]:
    """The wanted pages and others drawn by the seed, ``at_most`` together unless more are wanted, in page order."""
    kept = set(wanted)
    others = [page_id for page_id in page_ids if page_id not in kept]
    kept.update(random.Random(seed).sample(others, max(0, min(at_most - len(kept), len(others)))))
    return [page_id for page_id in page_ids if page_id in kept]
