"""How many visual tokens a page image has, and in how many rows and columns: Qwen's dynamic resolution, bounded.

``smart_resize`` of transformers breaks its limit for images that are long and thin (each side has one token at
least), and refuses those of more than 200 to 1. Here every image has a grid within the limits: such a page is squeezed.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from drag_rl.errors import InputError

LONGEST_RATIO = 200
"""Of an image's sides: transformers and vLLM refuse longer ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelLimits:
    """What an image processor does with the size of an image."""

    tile: int
    """Pixels along each side of one visual token: 32 for Qwen3-VL."""
    fewest: int
    """Pixels of an image, at least; smaller images are enlarged."""
    most: int
    """Pixels of an image, at most."""

    def lowered(self, max_visual_tokens: int) -> PixelLimits:
        """The limits for so many visual tokens at most; 0 changes nothing."""
        if not max_visual_tokens:
            return self
        most = max_visual_tokens * self.tile**2
        return PixelLimits(tile=self.tile, fewest=min(self.fewest, most), most=most)

    @property
    def most_tokens(self) -> int:
        """Visual tokens of an image, at most."""
        return max(1, self.most // self.tile**2)


def page_grid(width: int, height: int, limits: PixelLimits) -> tuple[int, int]:
    """Rows and columns of the visual tokens of an image of so many pixels.

    Raises ``InputError`` for an image without a pixel.
    """
    if width < 1 or height < 1:
        raise InputError(f"an image of {width} x {height} pixels has nothing to see")
    seen_width, seen_height = min(width, LONGEST_RATIO * height), min(height, LONGEST_RATIO * width)
    pixels = smart_resize(
        seen_height, seen_width, factor=limits.tile, min_pixels=limits.fewest, max_pixels=limits.most
    )
    rows, columns = (max(1, int(side) // limits.tile) for side in pixels)
    most = limits.most_tokens
    if rows >= columns:
        columns = min(columns, most)
        rows = min(rows, most // columns, LONGEST_RATIO * columns)
    else:
        rows = min(rows, most)
        columns = min(columns, most // rows, LONGEST_RATIO * rows)
    return rows, columns


def fitted(image: Image.Image, grid: tuple[int, int], tile: int) -> Image.Image:
    """The image in RGB at the size of its grid, resized as Qwen's image processor does, to the bit."""
    rgb = image.convert("RGB")
    rows, columns = grid
    if rgb.size == (columns * tile, rows * tile):
        return rgb
    from torchvision.transforms.v2 import functional

    resized = functional.resize(
        functional.pil_to_tensor(rgb),
        [rows * tile, columns * tile],
        interpolation=functional.InterpolationMode.BICUBIC,
        antialias=True,
    )
    fitting: Image.Image = functional.to_pil_image(resized)
    return fitting
