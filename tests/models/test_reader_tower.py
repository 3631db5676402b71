"""The tower is a stock Qwen3-VL one, and the quick way through it gives the stock numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reader_lab import write_reader
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

from drag_rl.errors import InputError
from drag_rl.models.reader.model import load_reader, new_reader, save_reader
from drag_rl.models.reader.sight import page_vectors, word_vectors
from drag_rl.models.reader.tower import CELL, SIDE, TILE, stock_input

MOST_PARAMETERS = 7_000_000


def test_the_quick_pass_gives_the_numbers_of_the_stock_pass() -> None:
    reader = new_reader(0, width=64, depth=2)
    tiles = torch.rand(3, TILE, TILE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    pixels, grid = stock_input(tiles)
    with torch.no_grad():
        stock = reader.eye.tower(pixels, grid_thw=grid).pooler_output
        quick, patches = reader.eye(tiles)
        _, first = reader.eye(tiles, tap=1)
    assert torch.allclose(quick.flatten(0, 1), stock, atol=1e-5)
    assert patches.shape == first.shape == (3, 256, 64) and not torch.allclose(patches, first)


def test_both_sides_are_as_small_as_promised() -> None:
    reader = new_reader(0)
    assert sum(weight.numel() for weight in reader.parameters()) <= MOST_PARAMETERS


def test_a_folder_is_read_back_by_us_and_by_transformers(tmp_path) -> None:
    reader = new_reader(3, width=64, depth=1)
    save_reader(reader, tmp_path, torch.float32)
    for found in (load_reader(tmp_path).eye.tower, Qwen3VLVisionModel.from_pretrained(tmp_path)):
        for name, weight in reader.eye.tower.state_dict().items():
            assert torch.equal(found.state_dict()[name], weight), name
    assert torch.equal(load_reader(tmp_path).words.table.weight, reader.words.table.weight)


def test_a_folder_without_a_reader_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(InputError, match=r"holds no reader"):
        load_reader(tmp_path)
    folder = write_reader(tmp_path / "cut")
    (folder / "words.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(InputError, match=f"{folder}: holds no reader"):
        load_reader(folder)


def test_a_page_is_seen_cell_by_cell_in_tiles_that_overlap() -> None:
    reader = new_reader(0, width=64, depth=1).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (9 * CELL, 7 * CELL), np.uint8)
    seen = page_vectors(reader, pixels)
    assert seen.shape == (9, 7, 128)
    assert np.allclose(np.linalg.norm(seen, axis=-1), 1, atol=1e-5)
    tile = np.full((TILE, TILE), 255, np.uint8)  # the first: white above and to the left
    tile[CELL:, CELL:] = pixels[: TILE - CELL, : TILE - CELL]
    with torch.no_grad():
        [cells], _ = reader.eye(torch.from_numpy(tile)[None].float() / 127.5 - 1)
    first = torch.nn.functional.normalize(cells, dim=-1).view(SIDE, SIDE, -1)[1, 1].numpy()
    assert np.allclose(seen[0, 0], first, atol=1e-5)


def test_words_are_alike_as_they_are_spelt() -> None:
    table, tables, window = word_vectors(new_reader(0, width=64, depth=1), ["Table", "tables", "window"])
    assert np.isclose(np.linalg.norm(table), 1, atol=1e-5)
    assert table @ tables > 0.5 > abs(table @ window)
