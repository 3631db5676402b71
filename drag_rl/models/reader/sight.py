"""What a reader sees of whole pages: tiles that overlap, of which the inner cells are kept.

Shape letters: R rows and C columns of a page's cells, T tiles, E numbers of a vector.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from drag_rl.models.reader.model import Reader
from drag_rl.models.reader.tower import CELL, DIM, SIDE, TILE, Grey
from drag_rl.models.reader.words import buckets, word_key

Vectors = npt.NDArray[np.float32]

MARGIN = 1
"""Cells at each edge of a tile that only give the others something to see around them."""
INNER = SIDE - 2 * MARGIN
TILES_AT_ONCE = 16
WHITE = 255


def page_vectors(reader: Reader, pixels: Grey, dtype: torch.dtype = torch.float32) -> Vectors:
    """A vector of length 1 for each cell of a page, shape (R, C, E).

    Args:
        reader: On any device.
        pixels: Grey, 0 is black; both sides are multiples of 32.
        dtype: What is computed in; of another than float32 only the multiplications.
    """
    rows, columns = (side // CELL for side in pixels.shape)
    down, across = -(-rows // INNER), -(-columns // INNER)
    numbers: dict[bytes, int] = {}  # a fifth of a page is blank: equal tiles are looked at once
    every = _tiles(pixels, down, across).reshape(-1, TILE, TILE)
    which = [numbers.setdefault(tile.tobytes(), len(numbers)) for tile in every]
    tiles = np.stack([np.frombuffer(content, np.uint8).reshape(TILE, TILE) for content in numbers])
    inner = np.empty((len(tiles), INNER, INNER, DIM), np.float32)
    device = next(reader.parameters()).device
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        for begin in range(0, len(tiles), TILES_AT_ONCE):
            some = torch.from_numpy(tiles[begin : begin + TILES_AT_ONCE]).to(device).float() / 127.5 - 1
            cells = functional.normalize(reader.eye(some)[0].float(), dim=-1)
            kept = cells.view(-1, SIDE, SIDE, DIM)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
            inner[begin : begin + len(some)] = kept.cpu().numpy()
    seen = inner[which].reshape(down, across, INNER, INNER, DIM)
    whole = seen.transpose(0, 2, 1, 3, 4).reshape(down * INNER, across * INNER, DIM)
    return np.ascontiguousarray(whole[:rows, :columns])


def word_vectors(reader: Reader, words: list[str]) -> Vectors:
    """A vector of length 1 for each word, shape (W, E)."""
    device = next(reader.parameters()).device
    each = [buckets(word_key(word)) for word in words]
    offsets = np.cumsum([0, *map(len, each)])[:-1]
    rows = torch.tensor([row for own in each for row in own], dtype=torch.long, device=device)
    with torch.inference_mode():
        found: Vectors = reader.words(rows, torch.from_numpy(offsets).to(device)).float().cpu().numpy()
    return found


def _tiles(pixels: Grey, down: int, across: int) -> Grey:
    """All tiles of a page, row by row, with white around the page, shape (down, across, 256, 256)."""
    step, margin = INNER * CELL, MARGIN * CELL
    padded = np.full((down * step + 2 * margin, across * step + 2 * margin), WHITE, np.uint8)
    padded[margin : margin + pixels.shape[0], margin : margin + pixels.shape[1]] = pixels
    windows = np.lib.stride_tricks.sliding_window_view(padded, (TILE, TILE))[::step, ::step]
    return windows.copy()
