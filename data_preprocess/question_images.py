"""The images of a user's questions: files that a model can be shown."""

from __future__ import annotations

import warnings
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.image_file import open_image

MAX_BYTES = 64 << 20
MAX_SIDE_RATIO = 200
"""Qwen's processor refuses an image that is longer than its width times this."""


def check_image(path: Path) -> None:
    """Decode an image once; raises ``InputError`` for a file that is none, is damaged, or is out of bounds."""
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise InputError(f"image {path} has more than {MAX_BYTES >> 20} MiB; make it smaller")
    except OSError as error:
        raise InputError(f"image {path} cannot be read: {error.strerror}") from error
    with warnings.catch_warnings(action="ignore"), open_image(path) as image:
        shorter, longer = sorted(image.size)
        if longer > MAX_SIDE_RATIO * shorter:
            raise InputError(
                f"image {path} is a strip of {longer} x {shorter} pixels: no model can be shown it"
            )
        image.load()
