"""Page images as PDFs, one for each document, so that they are shown and limited as the pages of any PDF are."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from drag_rl.corpus.mupdf import pymupdf
from drag_rl.image_file import read_image

POINTS_PER_INCH = 72


def write_image_pdf(path: Path, images: Sequence[Path], dpi: int) -> list[tuple[float, float]]:
    """Write a PDF whose pages are images; returns the width and height of each page in points.

    Rendered at ``dpi``, a page has its image's own pixels. The same images give the same file. Raises ``InputError``
    for a file that is no image.
    """
    sizes = []
    with pymupdf.open() as document:
        for image in images:
            pixels = read_image(image)
            width, height = (side * POINTS_PER_INCH / dpi for side in pixels.size)
            png = BytesIO()
            pixels.save(png, format="PNG")
            page = document.new_page(width=width, height=height)
            page.insert_image(page.rect, stream=png.getvalue())
            sizes.append((width, height))
        document.save(path, no_new_id=True)
    return sizes
