"""Image files from elsewhere: damaged ones, bombs and things that are no image are one line each."""

from __future__ import annotations

import os
import random
import struct
import zlib

import pytest
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.image_file import FORMATS, open_image, read_image


@pytest.mark.parametrize("kind", FORMATS)
def test_usual_formats_are_read(tmp_path, kind):
    Image.new("L", (8, 6), 200).save(tmp_path / "a", format=kind)
    image = read_image(tmp_path / "a")
    assert (image.mode, image.size) == ("RGB", (8, 6))


def png(width: int, height: int, data: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "side", [9_000, 14_000, 100_000]
)  # above our limit, Pillow's warning and Pillow's error
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side, zlib.compress(b"")))
    with pytest.raises(
        InputError, match=r"image .*bomb\.png (has 9000 x 9000|has 14000|cannot be read: Image size)"
    ):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_one_line_or_an_image(tmp_path, kind):
    draw = random.Random(kind)
    Image.effect_noise((40, 30), 60).convert("RGB").save(tmp_path / "whole", format=kind)
    whole = (tmp_path / "whole").read_bytes()
    for number in range(60):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 20)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        (tmp_path / "a").write_bytes(data[: draw.randint(0, len(data))] if number % 2 else data)
        try:
            read_image(tmp_path / "a", max_pixels=1 << 20)
        except InputError as error:
            assert "\n" not in str(error)


def test_what_is_no_image_file_is_said(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for name in ("pipe", "empty", "text", "nowhere", "."):
        with pytest.raises(InputError, match="cannot be read"), open_image(tmp_path / name):
            pass
