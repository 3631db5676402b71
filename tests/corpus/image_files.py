"""Image files of every kind that a folder of scans may hold, and of kinds that it had better not."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = (60, 40)


def page(text: str = "", colour: object = "white", mode: str = "RGB") -> Image.Image:
    """A small page with a black bar on its left side, by which one sees that it stands upright."""
    image = Image.new("RGB", SIZE, colour)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 9, SIZE[1]), fill="black")
    draw.text((14, 10), text, fill="black")
    return image.convert(mode)


def write_tiff(path: Path, pages: list[Image.Image]) -> None:
    """A TIFF of several images."""
    pages[0].save(path, save_all=True, append_images=pages[1:])


def write_pyramid(path: Path) -> None:
    """A TIFF of one page and a smaller copy of it, as scanners and viewers of large images write them."""
    small = page().resize((30, 20))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    page().save(path, save_all=True, append_images=[small])


def write_turned(path: Path) -> None:
    """A JPEG whose pixels lie on their side; its EXIF data say so."""
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees, clockwise
    page().rotate(90, expand=True).save(path, exif=exif, quality=95)


def write_sixteen_bits(path: Path) -> None:
    """A PNG of 16-bit grey: a black bar on light grey."""
    shades = np.full((SIZE[1], SIZE[0]), 60000, dtype=np.uint16)
    shades[:, :10] = 0
    Image.fromarray(shades).save(path)


def write_transparent(path: Path) -> None:
    """A PNG whose paper is transparent black."""
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 9, SIZE[1]), fill=(0, 0, 0, 255))
    image.save(path)


def write_animated(path: Path) -> None:
    """An animated WebP."""
    page("1").save(path, save_all=True, append_images=[page("2", "lightblue")], duration=100)


def write_truncated(path: Path) -> None:
    """A JPEG of which a part is missing."""
    page().resize((600, 400)).save(path)
    path.write_bytes(path.read_bytes()[:1500])


def write_bomb(path: Path) -> None:
    """A PNG of a few bytes that announces 400 million pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )
    path.write_bytes(data)
