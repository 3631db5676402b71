"""The faults of scans, put on clean tiles: blur, weak or uneven ink, noise, and the blocks of JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from drag_rl.models.reader.tower import Grey

FAULTY = 0.4
"""Share of tiles that get a fault; each of the kinds below is then drawn by itself."""


def with_faults(tile: Grey, generator: np.random.Generator) -> Grey:
    """The tile as it may come out of a scanner, or as it is."""
    if generator.random() >= FAULTY:
        return tile
    blurred, worn, noisy, packed = generator.random(4) < 0.5
    if blurred:
        radius = float(generator.uniform(0.3, 0.9))
        tile = np.asarray(Image.fromarray(tile).filter(ImageFilter.GaussianBlur(radius)))
    if worn or noisy:
        seen = tile.astype(np.float32)
        if worn:
            black, white = generator.uniform(0, 90), generator.uniform(215, 255)
            seen = black + seen * ((white - black) / 255)
        if noisy:
            seen = seen + generator.standard_normal(seen.shape, np.float32) * generator.uniform(2, 18)
        tile = np.clip(seen, 0, 255).astype(np.uint8)
    if packed:
        content = io.BytesIO()
        Image.fromarray(tile).save(content, "JPEG", quality=int(generator.integers(25, 85)))
        tile = np.asarray(Image.open(content))
    return tile
