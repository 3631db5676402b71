"""Recognise the text of an image by Tesseract, whichever way up it was scanned.

Tesseract reads lines that lie level. A page that was scanned on its side or head down gives scraps and words of mixed
case; where most of what was read looks so, the image is read in the three other directions, too, and the one with most
characters in plain words counts. So upright pages, as nearly all are, are read once.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from drag_rl.corpus.page_text import text_of
from drag_rl.mupdf import pymupdf

MIN_CHARS = 40
"""A page with fewer characters, blanks apart, is not turned: pictures have a few that are none."""
PLAIN_SHARE = 0.5
"""Share of the characters, blanks apart, in plain words, below which a reading is doubted: print has about .85,
slides .6 to .8, and what was read on its side or head down .3."""
MIN_GAIN = 1.5
"""A page is turned if it then has so many times the characters in plain words."""
MIN_LETTERS = 3
"""A shorter word says little: turned pages are full of them."""
RESOLUTION = 200
"""Dots an inch that Tesseract is told, so that it does not guess."""
_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_180)


def recognise(image: Image.Image, *, language: str, tessdata: str) -> str:
    """The text of an RGB image in reading order; empty if there is none.

    ``language`` has Tesseract's names, joined with ``+``, and ``tessdata`` is the folder of their files. Raises what
    PyMuPDF raises (``drag_rl.corpus.sources.PDF_ERRORS``).
    """
    text = _read(image, language, tessdata)
    chars, plain = sum(map(len, text.split())), plain_chars(text)
    if chars < MIN_CHARS or plain >= PLAIN_SHARE * chars:
        return text
    turned = (_read(image.transpose(turn), language, tessdata) for turn in _TURNS)
    best = max(turned, key=plain_chars)
    return best if plain_chars(best) > MIN_GAIN * plain else text


def plain_chars(text: str) -> int:
    """Characters in words that are written as words are, and in numbers.

    >>> plain_chars("Torque: 24.5 Nm (USA)"), plain_chars("aNbio} Jo SI W G'pz")
    (13, 0)
    """
    words = (word.strip(".,:;!?()[]\"'%$€") for word in text.split())
    return sum(len(word) for word in words if _is_plain(word))


def _is_plain(word: str) -> bool:
    if word.replace(".", "").replace(",", "").isdigit():
        return True
    if not word.replace("-", "").isalpha():
        return False
    if not (word.islower() or word.isupper()):
        rest = word[1:]
        return not rest or (not any(map(str.isupper, rest)) and len(word) >= MIN_LETTERS)
    return len(word) >= MIN_LETTERS


def _read(image: Image.Image, language: str, tessdata: str) -> str:
    pixmap: Any = pymupdf.Pixmap(pymupdf.csRGB, image.width, image.height, image.tobytes(), False)
    pixmap.set_dpi(RESOLUTION, RESOLUTION)
    layer = pixmap.pdfocr_tobytes(compress=False, language=language, tessdata=tessdata)
    with pymupdf.open(stream=layer, filetype="pdf") as document:
        return text_of(document.load_page(0))
