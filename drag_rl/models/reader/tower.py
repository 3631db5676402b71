"""The vision tower: a stock Qwen3-VL one, which transformers and vLLM load, and a quick way through it for tiles.

A page is looked at in tiles of 256 x 256 pixels: what stands in a cell of 32 x 32 pixels is to be read from what is
around it, so a tile sees as much as is needed, and its cost grows with the page and not with its square.

Shape letters: B tiles, P patches of a tile, C cells of a tile, H numbers of a patch, E numbers of a vector.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

Grey = npt.NDArray[np.uint8]
"""Grey pixels, 0 is black."""

PATCH = 16
"""Pixels along a patch."""
CELL = 32
"""Pixels along a cell: two patches, which make one vector."""
TILE = 256
"""Pixels along a tile."""
SIDE = TILE // CELL
"""Cells along a tile."""
PATCHES = TILE // PATCH
"""Patches along a tile."""
DIM = 128
"""Numbers of a vector."""
CHANNELS, FRAMES = 3, 2
"""Of Qwen3-VL: an image is three colours, shown twice."""


def vision_config(*, width: int = 256, depth: int = 4, heads: int = 4) -> Qwen3VLVisionConfig:
    """The tower's configuration: with its defaults it has 4.3 million parameters.

    Positions are learnt for the patches of one tile, so none is interpolated.
    """
    return Qwen3VLVisionConfig(
        depth=depth,
        hidden_size=width,
        intermediate_size=3 * width,
        hidden_act="gelu",  # half the time of its approximation by tanh, in bfloat16 on a CPU
        num_heads=heads,
        in_channels=CHANNELS,
        patch_size=PATCH,
        spatial_merge_size=CELL // PATCH,
        temporal_patch_size=FRAMES,
        out_hidden_size=DIM,
        num_position_embeddings=PATCHES**2,
        deepstack_visual_indexes=[],
    )


def new_tower(config: Qwen3VLVisionConfig) -> Qwen3VLVisionModel:
    """A tower with weights drawn by torch's generator."""
    config._attn_implementation = "sdpa"
    return Qwen3VLVisionModel(config)


def stock_input(tiles_B: Tensor) -> tuple[Tensor, Tensor]:
    """What the stock forward pass reads of grey tiles in [-1, 1], shape (B, 256, 256): all patches, and the grids."""
    count = len(tiles_B)
    patches = patches_of(tiles_B).reshape(count * PATCHES**2, 1, 1, PATCH**2)
    pixels = patches.expand(-1, CHANNELS, FRAMES, -1).reshape(count * PATCHES**2, -1)
    return pixels, torch.tensor([[1, PATCHES, PATCHES]] * count)


class TileReader(nn.Module):  # type: ignore[misc]
    """The tower's forward pass for grey tiles of one size: the stock one's numbers, all tiles at once.

    The stock pass shows the patch projection six copies of a grey patch and goes through attention tile by tile. Here
    the projection's six parts are added up first, and attention is one call.
    """

    cosine: Tensor
    sine: Tensor
    order: Tensor

    def __init__(self, tower: Qwen3VLVisionModel) -> None:
        super().__init__()
        self.tower = tower
        rows, columns = _merge_order()
        at = torch.stack([rows, columns], dim=-1)
        angles = tower.rotary_pos_emb(at)
        angles = torch.cat((angles, angles), dim=-1)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        self.register_buffer("order", rows * PATCHES + columns, persistent=False)

    def forward(self, tiles_B: Tensor, tap: int | None = None) -> tuple[Tensor, Tensor]:
        """Vectors of all cells, not yet of length 1, and what the patches are after ``tap`` blocks.

        Args:
            tiles_B: Grey tiles in [-1, 1], shape (B, 256, 256).
            tap: Blocks after which patches are handed out, too; None for all.

        Returns:
            Cells row by row, shape (B, C, E), and patches in the order in which four make a cell, shape (B, P, H).
        """
        tower = self.tower
        projection = tower.patch_embed.proj
        weight = projection.weight.sum(dim=(1, 2)).flatten(1)
        seen_BPH = functional.linear(patches_of(tiles_B).to(weight.dtype), weight, projection.bias)
        seen_BPH = seen_BPH + tower.pos_embed.weight[self.order]
        tapped = seen_BPH
        for number, block in enumerate(tower.blocks, 1):
            seen_BPH = seen_BPH + self._attend(block.attn, block.norm1(seen_BPH))
            seen_BPH = seen_BPH + block.mlp(block.norm2(seen_BPH))
            if number == tap or tap is None:
                tapped = seen_BPH
        return tower.merger(seen_BPH.flatten(0, 1)).view(len(tiles_B), SIDE**2, -1), tapped

    def _attend(self, attention: nn.Module, seen_BPH: Tensor) -> Tensor:
        tiles, patches, width = seen_BPH.shape
        heads = attention.num_heads
        query, key, value = attention.qkv(seen_BPH).view(tiles, patches, 3, heads, -1).unbind(2)
        query, key = _turned(query, self.cosine, self.sine), _turned(key, self.cosine, self.sine)
        if query.is_cuda:
            mixed = functional.scaled_dot_product_attention(
                query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
            )
        else:  # torch's fused kernel takes three times as long on a CPU with bfloat16 tiles, both ways
            likeness = (query * attention.scaling).transpose(1, 2) @ key.permute(0, 2, 3, 1)
            mixed = likeness.softmax(dim=-1).to(value.dtype) @ value.transpose(1, 2)
        projected: Tensor = attention.proj(mixed.transpose(1, 2).reshape(tiles, patches, width))
        return projected


def _turned(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions, in the vectors' own type: shape (B, P, heads, numbers of a head)."""
    cosine, sine = cosine[:, None].to(vectors.dtype), sine[:, None].to(vectors.dtype)
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cosine + torch.cat((-second, first), dim=-1) * sine


def _merge_order() -> tuple[Tensor, Tensor]:
    """Rows and columns of a tile's patches in Qwen3-VL's order: the four of a cell follow each other."""
    merge = CELL // PATCH
    numbers = torch.arange(PATCHES**2).view(SIDE, merge, SIDE, merge).transpose(1, 2).flatten()
    return numbers // PATCHES, numbers % PATCHES


def patches_of(tiles_B: Tensor) -> Tensor:
    """The pixels of the patches of tiles, in Qwen3-VL's order, shape (B, P, 256)."""
    merge = CELL // PATCH
    cut = tiles_B.view(-1, SIDE, merge, PATCH, SIDE, merge, PATCH).permute(0, 1, 4, 2, 5, 3, 6)
    return cut.reshape(-1, PATCHES**2, PATCH**2)
