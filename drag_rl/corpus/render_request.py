"""What a page renderer is asked and answers; both ends of the pipe know it, and neither needs MuPDF for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A page to be rendered."""

    pdf: str
    """Path of the PDF."""
    sha256: str
    """What its bytes must hash to: it is the one that was ingested."""
    page_number: int
    """1-based."""
    dpi: int
    max_pixels: int
    """The resolution is lower where that would be more."""
    boxes: Sequence[Sequence[float]]
    """What is painted white, in points of the unrotated page."""
    target: str
    """Path of the PNG to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What became of a request."""

    problem: str = ""
    """Why there is no image, in one line; empty if there is."""
    of_the_page: bool = True
    """Whether the problem is the page's; if not, the file is missing or another one."""


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
