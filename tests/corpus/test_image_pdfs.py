"""Images become the pages of a PDF, pixel by pixel, and the same images the same bytes."""

from __future__ import annotations

import pytest
from PIL import Image

from drag_rl.corpus.image_pdfs import write_image_pdf
from drag_rl.errors import InputError


@pytest.mark.parametrize(("mode", "suffix"), [("RGB", "png"), ("L", "jpg"), ("P", "gif"), ("RGBA", "tiff")])
def test_the_same_images_give_the_same_file(tmp_path, mode, suffix):
    image = tmp_path / f"image.{suffix}"
    Image.new(mode, (96, 48)).save(image)
    sizes = [write_image_pdf(tmp_path / name, [image, image], dpi=96) for name in ("one.pdf", "two.pdf")]
    assert sizes == [[(72.0, 36.0)] * 2] * 2
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "fake.png").write_text("no image")
    with pytest.raises(InputError, match=r"fake\.png cannot be read"):
        write_image_pdf(tmp_path / "one.pdf", [tmp_path / "fake.png"], dpi=96)
