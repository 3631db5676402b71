"""The images of a user's questions: files that the model can be shown, within bounds."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

from PIL import Image

from drag_rl.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Pillow knows more, some of which start other programs."""
MAX_BYTES = 64 << 20
MAX_PIXELS = 50_000_000
"""A letter page at 600 dpi has 34 million."""
MAX_SIDE_RATIO = 200
"""Qwen's processor refuses an image that is longer than its width times this."""

IMAGE_ERRORS = (
    OSError, ValueError, TypeError, LookupError, SyntaxError, ArithmeticError, RuntimeError, MemoryError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""What decoding a damaged image may raise."""


def check_image(path: Path) -> None:
    """Decode an image once; raises ``InputError`` for a file that is none, is damaged, or is out of bounds."""
    try:
        if not path.is_file():
            raise InputError(f"image {path} is not there")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"image {path} has more than {MAX_BYTES >> 20} MiB; make it smaller")
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise InputError(
                    f"image {path} has {width} x {height} pixels, more than {MAX_PIXELS:,}; make it smaller"
                )
            if max(width, height) > MAX_SIDE_RATIO * min(width, height):
                raise InputError(
                    f"image {path} has {width} x {height} pixels; no model can be shown such a strip"
                )
            image.load()
    except InputError:
        raise
    except IMAGE_ERRORS as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"image {path} cannot be read as one of {', '.join(FORMATS)} ({said})") from error
