"""Heat maps over page images, as one picture: a panel for the whole query and one for each of its words."""

from __future__ import annotations

import io
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_path
from drag_rl.retrieval.late.heat_map import HeatMap, Map, warmth

PANEL_PIXELS = 420
"""Width and height that the image of a panel fits in."""
MOST_PANELS = 24
"""A longer query shows its first words."""
COLUMNS = 4
GAP, LINE, TEXT = 14, 26, 17
"""Pixels: between panels, of a line of text, and of its letters."""
INK, SOFT, PAPER = (29, 29, 34), (93, 93, 102), (255, 255, 255)
COOL, HOT = np.array([255.0, 205.0, 0.0]), np.array([205.0, 0.0, 60.0])
"""Colours of a faint and of the strongest heat: text below stays readable."""
STRONGEST = 0.72
"""Opacity of the strongest heat; where there is none, the page shows as it is."""
_MARK = ("Software", "drag-rl heat map")
"""In a picture's own text, so that no other file is overwritten."""


def write_heat_map(found: HeatMap, page_id: str, out: Path) -> None:
    """Write the picture of :func:`draw_heat_map` as a PNG, whole or not at all; raises as ``claim_picture`` does."""
    claim_picture(out)
    about = PngInfo()
    about.add_text(*_MARK)
    with atomic_path(out) as temporary:
        draw_heat_map(found, page_id).save(temporary, format="PNG", pnginfo=about)


def claim_picture(out: Path) -> None:
    """Raise ``InputError`` if another file than an earlier heat map is there, or the name is no PNG's."""
    if out.suffix.lower() != ".png":
        raise InputError(f"--explain {out}: should end in .png")
    if not out.exists():
        return
    try:
        with Image.open(out, formats=("PNG",)) as image:
            ours = image.info.get(_MARK[0]) == _MARK[1]
    except (OSError, SyntaxError, ValueError):
        ours = False
    if not ours:
        raise InputError(f"--explain {out}: is there, and is no heat map of ours; give another file")


def draw_heat_map(found: HeatMap, page_id: str) -> Image.Image:
    """The panels, under a line that names page and query."""
    words = found.words[: MOST_PANELS - 1]
    panels = [("whole query", f"MaxSim {found.score:.2f}", found.whole())]
    panels += [
        (word.text, f"cosine {found.best(number):.2f}", found.of_word(number))
        for number, word in enumerate(words)
    ]
    image = _fitting(found.image.convert("RGB"))
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    width, height = max(image.width, PANEL_PIXELS // 2) + GAP, image.height + LINE + GAP
    picture = Image.new("RGB", (columns * width + GAP, rows * height + LINE + GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    left_out = len(found.words) - len(words)
    more = f" (and {left_out} more words)" if left_out else ""
    _say(draw, (GAP, 8), f"{page_id}: {found.query}{more}", picture.width - 2 * GAP, SOFT)
    for number, (name, about, mass_RC) in enumerate(panels):
        x, y = GAP + number % columns * width, LINE + GAP + number // columns * height
        room = width - GAP
        told = draw.textlength(about, font=_font())
        draw.text((x + room - told, y), about, SOFT, font=_font())
        _say(draw, (x, y), name, room - told - GAP, INK)
        picture.paste(tinted(image, mass_RC), (x, y + LINE))
        draw.rectangle((x, y + LINE, x + image.width - 1, y + LINE + image.height - 1), outline=SOFT)
    return picture


def tinted(image: Image.Image, mass_RC: Map) -> Image.Image:
    """An RGB image with the warmth of a map laid over it, smoothed; the warmest cell is the most opaque."""
    cells = Image.fromarray(warmth(mass_RC).astype(np.float32), mode="F")
    heat = np.asarray(cells.resize(image.size, Image.Resampling.BILINEAR)).clip(0.0, 1.0)[..., None]
    opacity = STRONGEST * np.sqrt(heat)
    mixed = np.asarray(image, np.float32) * (1 - opacity) + (COOL + (HOT - COOL) * heat) * opacity
    return Image.fromarray(mixed.round().astype(np.uint8))


def _fitting(image: Image.Image) -> Image.Image:
    scale = min(PANEL_PIXELS / image.width, PANEL_PIXELS / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _say(draw: Any, place: tuple[int, int], text: str, width: float, colour: tuple[int, int, int]) -> None:
    """One line, cut to fit."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text[:500])
    while shown and draw.textlength(shown, font=_font()) > width:
        shown = f"{shown.removesuffix('…')[:-1]}…" if len(shown) > 2 else ""
    draw.text(place, shown, colour, font=_font())


@cache
def _font() -> Any:
    """One that has letters of most scripts; it comes with PyMuPDF."""
    from drag_rl.mupdf import pymupdf

    return ImageFont.truetype(io.BytesIO(pymupdf.Font("cjk").buffer), TEXT)
