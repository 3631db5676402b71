"""Check the images of a user's questions: only files that a model can be shown are accepted."""

from __future__ import annotations

import warnings
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.image_file import open_image

MAX_BYTES = 64 << 20
MAX_SIDE_RATIO = 200
"""The longer side of an image divided by the shorter one, at most: Qwen's processor refuses more."""


def check_image(path: Path) -> None:
    """Decode an image once.

    Raises ``InputError`` for a file that is not an image, is damaged, or is too large or too narrow.
    """
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise InputError(f"image {path} has more than {MAX_BYTES >> 20} MiB; make it smaller")
    except OSError as error:
        raise InputError(f"image {path} cannot be read: {error.strerror}") from error
    with warnings.catch_warnings(action="ignore"), open_image(path) as image:
        shorter, longer = sorted(image.size)
        if longer > MAX_SIDE_RATIO * shorter:
            raise InputError(
                f"image {path} has {longer} x {shorter} pixels, which is too narrow for a model; crop it"
            )
        image.load()
