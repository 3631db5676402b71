"""Laws of the visual tokens of a page: within the model's limits for every image, and Qwen's own where those hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.retrieval.late.page_grid import LONGEST_RATIO, PixelLimits, fitted, page_grid

SIDES = st.integers(1, 20_000)
LIMITS = PixelLimits(tile=32, fewest=64 * 32**2, most=768 * 32**2)


@given(SIDES, SIDES, st.integers(1, 2000))
@example(9400, 47, 768)  # Qwen's grid is longer than Qwen allows
@example(3000, 20, 16)  # Qwen's grid is larger than its limit
@example(1, 20_000, 4)  # Qwen refuses it
def test_every_image_has_a_grid_within_the_limits(width: int, height: int, most: int) -> None:
    rows, columns = page_grid(width, height, LIMITS.lowered(most))
    assert min(rows, columns) >= 1 and rows * columns <= most
    assert max(rows, columns) <= LONGEST_RATIO * min(rows, columns)
    assert sorted(page_grid(height, width, LIMITS.lowered(most))) == sorted((rows, columns))


@given(st.integers(200, 4000), st.integers(200, 4000), st.sampled_from([0, 64, 768, 1344]))
@example(200, 201, 64)  # where both limits are one, Qwen's grid may be larger
def test_pages_of_usual_shapes_have_the_grid_of_qwens_processor(width: int, height: int, most: int) -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    limits = LIMITS.lowered(most)
    expected = smart_resize(height, width, factor=32, min_pixels=limits.fewest, max_pixels=limits.most)
    found = page_grid(width, height, limits)
    if max(width, height) < 8 * min(width, height) and expected[0] * expected[1] <= limits.most:
        assert found == (expected[0] // 32, expected[1] // 32)


def test_the_limit_of_tokens_lowers_both_limits_of_pixels() -> None:
    assert LIMITS.lowered(0) == LIMITS
    assert LIMITS.lowered(16) == PixelLimits(tile=32, fewest=16 * 1024, most=16 * 1024)
    assert LIMITS.lowered(1344).most_tokens == 1344


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="0 x 5 pixels"):
        page_grid(0, 5, LIMITS)


@pytest.mark.parametrize("size", [(300, 200), (64, 64), (1000, 300), (2500, 40)])
def test_an_image_is_resized_as_qwens_processor_resizes_it(tiny_model: object, size: tuple[int, int]) -> None:
    from transformers import AutoProcessor

    images = AutoProcessor.from_pretrained(tiny_model).image_processor
    limits = PixelLimits(tile=32, fewest=images.size["shortest_edge"], most=images.size["longest_edge"])
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(pixels, "RGBA")
    grid = page_grid(*size, limits)
    fitting = fitted(image, grid, 32)
    assert fitting.size == (grid[1] * 32, grid[0] * 32) and fitting.mode == "RGB"
    own = images(images=[image], return_tensors="pt")
    if own["image_grid_thw"][0].tolist() == [1, 2 * grid[0], 2 * grid[1]]:
        ours = images(images=[fitting], return_tensors="pt", do_resize=False)
        assert (own["pixel_values"] == ours["pixel_values"]).all()
    else:
        assert size == (2500, 40)
