"""Read image files that others made within limits; every fault is one line.

Pillow raises many kinds of exception for a damaged file, decodes an image of any size that a few bytes announce, and
has readers that start other programs; here a file is one of the usual formats, of a bounded size, or an ``InputError``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from drag_rl.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 1 << 26
"""Pixels of an image, at most (67 million, 192 MiB as RGB): more than a camera's picture has."""

_ERRORS = (
    OSError,
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""Exceptions that reading a damaged image may raise."""


class ImageFileError(InputError):
    """A file that is no image, is damaged, or is too large."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"image {path} {reason}")
        self.reason = reason
        """What is wrong, without the path."""


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The RGB image of a file; raises ``ImageFileError`` if it is no image, damaged, or larger than ``max_pixels``."""
    with open_image(path, max_pixels) as image:
        return image.convert("RGB")


@contextmanager
def open_image(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """An image whose pixels are not decoded yet; what the block finds broken in it is an ``ImageFileError`` too."""
    if not path.is_file():
        raise ImageFileError(path, "cannot be read: there is no such file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                size = f"{image.width} x {image.height} pixels, more than {max_pixels}"
                raise ImageFileError(path, f"has {size}: make it smaller")
            yield image
    except InputError:
        raise
    except UnidentifiedImageError:
        raise ImageFileError(path, f"cannot be read: not an image ({', '.join(FORMATS)})") from None
    except _ERRORS as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageFileError(path, f"cannot be read: {said}") from None
