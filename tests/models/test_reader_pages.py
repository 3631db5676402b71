"""What is trained on: pages, the places of their words, and the tiles and labels that are cut from them."""

from __future__ import annotations

import numpy as np
import pytest
from reader_lab import TEXT, prepared_pages, write_fonts, write_pdf

from drag_rl.errors import InputError
from drag_rl.models.reader.crops import CropSource
from drag_rl.models.reader.faults import with_faults
from drag_rl.models.reader.page_store import OTHER_DOCUMENTS, OTHER_FONTS, TRAIN, PageStore
from drag_rl.models.reader.pages import LETTERS, OTHER, printed_page
from drag_rl.models.reader.prepare import PrepareSettings, prepare
from drag_rl.models.reader.tower import CELL, SIDE, TILE
from drag_rl.models.reader.typesetting import Typesetter, text_fonts
from drag_rl.mupdf import pymupdf


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PageStore:
    folder = tmp_path_factory.mktemp("reader")
    return PageStore(prepared_pages(folder, fonts=write_fonts(folder / "fonts")))


@pytest.mark.parametrize("degrees", [0.0, 2.0, -2.0])
def test_words_stand_where_there_is_ink(tmp_path, degrees: float) -> None:
    page = pymupdf.open(write_pdf(tmp_path / "a.pdf", [TEXT]))[0]
    printed = printed_page(page, dpi=110, degrees=degrees)
    assert printed is not None and printed.keys[:3] == ("large", "tables", "are")
    blank = 0
    for place in printed.places:
        x, y = (place["x0"] + place["x1"]) / 2, (place["y0"] + place["y1"]) / 2
        half_width, half_height = (place["x1"] - place["x0"]) / 2, place["height"] / 3
        box = printed.pixels[
            round(y - half_height) : round(y + half_height), round(x - half_width) : round(x + half_width)
        ]
        blank += not (box < 128).any()
    assert not blank


def test_a_page_with_little_to_read_is_left_out(tmp_path) -> None:
    document = pymupdf.open(write_pdf(tmp_path / "a.pdf", ["few words", "\u0416\u0429 " * 40]))
    assert [printed_page(page, dpi=96) for page in document] == [None, None]


def test_pages_are_set_anew_in_the_font_that_is_asked_for(tmp_path) -> None:
    fonts = text_fonts(write_fonts(tmp_path))
    assert [font.name for font in fonts] == ["plain.otf", "roman.otf"], "the broken one is left out"
    page = Typesetter(fonts).page([*TEXT.split(), "\u4e2d"], fonts[0], np.random.default_rng(0))
    assert page.get_text().split() == TEXT.split()


def test_what_is_held_out_is_not_there_and_what_is_watched_is_apart(store: PageStore) -> None:
    assert "tables" in store.vocabulary and "zyzzyva" not in store.vocabulary
    documents = {part: set(store.pages["document"][store.of_part(part)]) for part in (0, 1, 2)}
    assert not documents[TRAIN] & (documents[OTHER_DOCUMENTS] | documents[OTHER_FONTS])
    assert all(len(store.of_part(part)) for part in documents)
    assert store.frequencies.sum() == pytest.approx(1)


def test_pages_that_are_there_are_kept_and_damaged_documents_reported(tmp_path) -> None:
    pages = prepared_pages(tmp_path)
    before = (pages / "pages.npy").stat().st_mtime_ns
    assert prepared_pages(tmp_path) == pages
    again = PageStore(pages)
    assert len(again.pages) == 3 and (pages / "pages.npy").stat().st_mtime_ns >= before
    (tmp_path / "pdfs" / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    prepare([tmp_path / "pdfs"], tmp_path / "more", None, PrepareSettings(held_out=("kept-*",)))
    assert "torn.pdf" in (tmp_path / "more" / "manifest.json").read_text()
    with pytest.raises(InputError, match="no PDF to train on"):
        prepare([tmp_path / "pdfs"], tmp_path / "none", None, PrepareSettings(held_out=("*",)))


def test_a_batch_follows_from_its_number_and_its_labels_point_at_ink(store: PageStore) -> None:
    one, same = (CropSource(store, TRAIN, tiles=3, seed=7, faults=False).batch(5) for _ in range(2))
    assert np.array_equal(one.tiles, same.tiles) and np.array_equal(one.words, same.words)
    assert len(one.words) == len(one.cells) >= 15 and set(one.covering) == set(range(len(one.words)))
    cells = one.tiles.reshape(3, SIDE, CELL, SIDE, CELL).transpose(0, 1, 3, 2, 4).reshape(-1, CELL, CELL)
    assert all((cells[cell] < 128).any() for cell in one.cells)
    assert {LETTERS[kind - 1] for kind in np.unique(one.letters) if 0 < kind <= len(LETTERS)} > set("aeiort")


@pytest.mark.parametrize("degrees", [0.0, 2.0])
def test_letters_stand_on_their_ink_and_in_order(tmp_path, degrees: float) -> None:
    page = pymupdf.open(write_pdf(tmp_path / "a.pdf", ["Mill 7, if so. " * 20]))[0]
    printed = printed_page(page, dpi=110, degrees=degrees)
    assert printed is not None
    kinds = printed.letters["kind"]
    spelt = "".join(LETTERS[kind - 1] if kind < OTHER else "?" for kind in kinds)
    assert spelt == "mill7?ifso?" * 20
    for x, y, kind in printed.letters:
        around = printed.pixels[round(y - 7) : round(y + 8), round(x - 3) : round(x + 4)]
        assert kind == OTHER or (around < 128).any()


def test_faults_change_pixels_and_nothing_else() -> None:
    tile = np.full((TILE, TILE), 255, np.uint8)
    tile[100:120, 50:200] = 0
    faulty = [with_faults(tile, np.random.default_rng(seed)) for seed in range(20)]
    assert {(own.shape, own.dtype) for own in faulty} == {(tile.shape, tile.dtype)}
    changed = [own for own in faulty if not np.array_equal(own, tile)]
    assert 3 < len(changed) < 17
    assert all(own[100:120, 50:200].mean() + 60 < own[:80].mean() for own in changed), "still to be read"
