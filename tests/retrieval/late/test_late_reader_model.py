"""A reader keeps what the seam of embedders promises, and indexes are made with it as with any other model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reader_lab import TEXT, write_pdf, write_reader

from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder
from drag_rl.retrieval.late.heat_map import heat_map
from drag_rl.retrieval.late.reader_model import ReaderModel


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ReaderModel:
    folder = write_reader(tmp_path_factory.mktemp("reader") / "model")
    found = open_multi_vector_embedder(MultiVectorSettings(model=str(folder), dtype="float32"))
    assert isinstance(found, ReaderModel)
    return found


def _page(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def test_a_page_has_a_vector_of_length_one_for_each_cell_whatever_else_is_read(reader: ReaderModel) -> None:
    pages = [_page(330, 200), _page(64, 40), _page(500, 300)]
    together = reader.embed_pages(pages)
    for page, found in zip(pages, together, strict=True):
        assert reader.visual_tokens(*page.size) == len(found.vectors) == found.grid[0] * found.grid[1]
        assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
        [alone] = reader.embed_pages([page])
        assert np.allclose(alone.vectors, found.vectors, atol=1e-5)
    assert reader.embed_pages([]) == [] and reader.width == 128


def test_a_query_is_its_words_without_those_on_every_page(reader: ReaderModel) -> None:
    assert reader.query_tokens("How do I read a table, and what is a Table?") == ["read", "table"]
    assert reader.query_tokens("What is it?") == ["What", "is", "it"], "there are no others"
    assert reader.query_tokens("?!") == [""]
    for query, text in zip(reader.embed_queries(["read tables", "?!"]), ["read tables", "?!"], strict=True):
        assert query.shape == (len(reader.query_tokens(text)), 128)
    [query], [other] = reader.embed_queries(["TABLE"]), reader.embed_queries(["table"])
    assert np.array_equal(query, other)


def test_a_heat_map_shows_each_word(reader: ReaderModel) -> None:
    found = heat_map(reader, _page(330, 200), "read a table")
    assert [word.text for word in found.words] == ["read", "table"]
    assert found.of_word(1).sum() == pytest.approx(1, abs=1e-4)


def test_readers_are_told_apart_by_their_weights_and_settings(reader: ReaderModel, tmp_path: Path) -> None:
    same = write_reader(tmp_path / "same")
    other = write_reader(tmp_path / "other", seed=1)
    settings = MultiVectorSettings(model=str(same), dtype="float32")
    assert ReaderModel(settings).fingerprint == reader.fingerprint
    assert (
        ReaderModel(MultiVectorSettings(model=str(same), max_visual_tokens=9)).fingerprint
        != reader.fingerprint
    )
    assert (
        ReaderModel(MultiVectorSettings(model=str(other), dtype="float32")).fingerprint != reader.fingerprint
    )


def test_what_a_reader_cannot_do_is_said(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "model")
    with pytest.raises(InputError, match="takes no --adapter"):
        open_multi_vector_embedder(MultiVectorSettings(model=str(folder), load_in_4bit=True))
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"scripts/train_reader\.sh"):
        ReaderModel(MultiVectorSettings(model=str(folder)))


@pytest.mark.slow
def test_an_index_is_made_and_searched_with_a_reader(tmp_path: Path) -> None:
    from drag_rl.cli.main import main
    from drag_rl.retrieval import open_retriever
    from drag_rl.retrieval.base import Query

    write_pdf(tmp_path / "pdfs" / "a.pdf", [TEXT, " ".join(reversed(TEXT.split()))])
    folder = write_reader(tmp_path / "reader")
    for words in (
        ["ingest", "--pdf-dir", str(tmp_path / "pdfs"), "--out", str(tmp_path / "pages")],
        [
            *("index", "--kind", "late", "--model", str(folder)),
            *("--pages", str(tmp_path / "pages"), "--out", str(tmp_path / "index")),
        ],
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert not stop.value.code
    [ranking] = asyncio.run(open_retriever(tmp_path / "index").search([Query(text="columns of tables")], 5))
    assert len(ranking.hits) == 2
