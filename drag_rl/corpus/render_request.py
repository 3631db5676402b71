"""Requests to a page renderer and its replies, as both ends of the pipe know them; this needs no MuPDF."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A page to be rendered."""

    file: str
    """Path of the PDF, or of the image."""
    sha256: str
    """SHA-256 that its bytes must have, so that it is the file that was ingested."""
    page_number: int
    """Which page of the file, 1-based."""
    dpi: int
    max_pixels: int
    """Pixels of the image, at most; the resolution is lowered where it would have more."""
    boxes: Sequence[Sequence[float]]
    """Boxes that are painted white, in points of the unrotated page; of an image, in its pixels."""
    target: str
    """Path of the PNG to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply to a request."""

    problem: str = ""
    """Why there is no image, in one line; empty if there is one."""
    of_the_page: bool = True
    """Whether the page itself is the problem; if not, the file is missing or has changed."""


def fitting_scale(width_pt: float, height_pt: float, dpi: int, max_pixels: int) -> float:
    """Pixels per point: ``dpi / 72``, or less to keep an image, sides rounded up, within ``max_pixels``.

    >>> fitting_scale(720, 720, dpi=72, max_pixels=10**6), fitting_scale(720, 720, dpi=72, max_pixels=360**2)
    (1.0, 0.5)
    """
    scale = min(dpi / 72, math.sqrt(max_pixels / (width_pt * height_pt)))
    while (width := math.ceil(width_pt * scale)) * (height := math.ceil(height_pt * scale)) > max_pixels:
        if width == 1 or height == 1:
            return min(scale, max_pixels / max(width_pt, height_pt))
        scale *= 0.999
    return scale
