"""Image files as pages: which images of a file are pages, and the pixels of one, upright and on white paper."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from drag_rl.image_file import MAX_PIXELS, open_image

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".gif", ".bmp")
"""Names of image files, in lower case."""
MAX_IMAGES = 2_000
"""Images that a file may hold, at most."""
DPI = 72
"""A corpus of images has this resolution, so that a pixel is a point: a page is shown with its image's own pixels."""

_PLACE = re.compile(r"(?P<file>.+\.tiff?)#(?P<place>[1-9][0-9]{0,5})", re.IGNORECASE | re.DOTALL)
_SUBFILE_TYPE = 254
"""TIFF's tag NewSubfileType."""
_REDUCED, _MASK = 1, 4
"""Its bits: a smaller copy of another image of the file, and a mask for one."""


def is_image(source_file: str) -> bool:
    """Whether a page's source is an image file, as opposed to a PDF.

    >>> is_image("deck/03.JPG"), is_image("scan.tif#2"), is_image("manual.pdf"), is_image("")
    (True, True, False, False)
    """
    return split_place(source_file)[0].lower().endswith(SUFFIXES)


def placed(file: str, place: int, places: int) -> str:
    """The source of the page at a 1-based place among the ``places`` pages of a file.

    >>> placed("scan.tif", 2, places=3), placed("page.png", 1, places=1)
    ('scan.tif#2', 'page.png')
    """
    return file if places == 1 else f"{file}#{place}"


def split_place(source_file: str) -> tuple[str, int]:
    """The file of a page's source and the 1-based place of the page in it.

    >>> split_place("scan.tif#2"), split_place("a#2.png")
    (('scan.tif', 2), ('a#2.png', 1))
    """
    found = _PLACE.fullmatch(source_file)
    return (found["file"], int(found["place"])) if found else (source_file, 1)


def count_pages(path: Path) -> int:
    """How many pages an image file has; raises ``ImageFileError`` if it cannot be read, or is animated."""
    with open_image(path) as image:
        return len(_pages(image))


def read_page_image(path: Path, place: int = 1) -> Image.Image:
    """The RGB pixels of a page of an image file, ``place`` being 1-based.

    The picture is turned as its EXIF data says, shades of 16 bits become 8, and what is transparent becomes white.
    Raises ``ImageFileError`` for a file that is no image, damaged, animated, or too large.
    """
    with open_image(path) as image:
        image.seek(_pages(image)[place - 1])
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}")
        return _flat(image)


def _pages(image: Image.Image) -> list[int]:
    """The 0-based positions of the images of an open file that are pages.

    All of a TIFF are, but for masks and smaller copies; of a camera's JPEG the first is. Raises ``ValueError`` for an
    animation.
    """
    count = getattr(image, "n_frames", 1)
    if count == 1 or image.format == "MPO":
        return [0]
    if image.format != "TIFF":
        raise ValueError(f"it is animated, with {count} pictures; keep one of them")
    if count > MAX_IMAGES:
        raise ValueError(f"it has {count} images, more than {MAX_IMAGES}")
    pages = []
    for position in range(count):
        image.seek(position)
        if not int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & (_REDUCED | _MASK):
            pages.append(position)
    return pages or [0]


def _flat(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    elif image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    paper = Image.new("RGBA", layers.size, "white")
    return Image.alpha_composite(paper, layers).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Shades of grey of 16 bits, which Pillow would cut off at 255, as shades of 8."""
    shades_HW = np.asarray(image)
    darkest, brightest = int(shades_HW.min()), int(shades_HW.max())
    if darkest < 0 or brightest > 65535:
        raise ValueError(f"its pixels, from {darkest} to {brightest}, are no shades of 16 bits")
    return Image.fromarray((shades_HW // 257).astype(np.uint8))
