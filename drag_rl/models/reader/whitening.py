"""A first patch projection that shows a new tower independent numbers of like size.

Pixels of print are nearly all white, and like their neighbours. Drawn at random, the projection shows the tower the
brightness of a patch many times over, and it takes a thousand steps to see more. So the first weights are the principal
directions of real patches, each scaled to variance 1 and turned at random (as for small images: arXiv:2404.00498).
"""

from __future__ import annotations

import torch

from drag_rl.models.reader.model import Reader
from drag_rl.models.reader.tower import CHANNELS, FRAMES, PATCH, Grey, patches_of

LEAST_SHARE = 1e-3
"""Directions with less than this share of the largest variance are noise, and are scaled as if they had it."""


@torch.no_grad()  # type: ignore[untyped-decorator]
def whiten(reader: Reader, tiles: Grey, seed: int) -> None:
    """Set the patch projection of a reader by what patches look like.

    Args:
        reader: A new one, which is changed.
        tiles: Grey, some dozens, shape (B, 256, 256); patches of one colour do not count.
        seed: Of the turn.
    """
    projection = reader.eye.tower.patch_embed.proj
    width = projection.out_channels
    patches = patches_of(torch.from_numpy(tiles).float() / 127.5 - 1).reshape(-1, PATCH**2)
    patches = patches[patches.std(dim=1) > 0.02].double()
    mean = patches.mean(dim=0)
    variances, directions = torch.linalg.eigh((patches - mean).T.cov())
    floor = LEAST_SHARE * variances[-1]
    whitening = directions / variances.clamp(min=float(floor)).sqrt()
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(PATCH**2, PATCH**2, generator=generator, dtype=torch.float64))
    weights = (whitening @ turn).T
    weights = weights.repeat(-(-width // PATCH**2), 1)[:width]
    spread = weights.float().view(width, 1, 1, PATCH, PATCH) / (CHANNELS * FRAMES)
    projection.weight.copy_(spread.expand_as(projection.weight))
    projection.bias.copy_(-(weights @ mean).float())
