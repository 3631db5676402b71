"""The weights that come with the project: they are what their manifest says, and they read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch
from reader_lab import prepared_pages, write_pdf, write_reader

from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.models.folder import folder_fingerprint
from drag_rl.models.reader.folder import WEIGHTS
from drag_rl.models.reader.learner import LearnerSettings
from drag_rl.models.reader.model import load_reader, new_reader
from drag_rl.models.reader.page_store import PageStore
from drag_rl.models.reader.publish import licence_names, publish
from drag_rl.models.reader.tower import stock_input
from drag_rl.models.reader.train import Training, TrainSettings, trainings_of
from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder

MOST_BYTES, MOST_PARAMETERS = 16_000_000, 7_000_000


def test_the_weights_are_what_their_manifest_says() -> None:
    manifest = read_manifest(WEIGHTS)
    assert manifest.fingerprint == folder_fingerprint(WEIGHTS)
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= MOST_BYTES
    reader = load_reader(WEIGHTS)
    parameters = sum(weight.numel() for weight in reader.parameters())
    assert parameters == manifest.config["parameters"] <= MOST_PARAMETERS
    assert len(manifest.inputs) > 20 and all(len(digest) == 64 for digest in manifest.inputs.values())
    assert any("GPL" in name for names in manifest.config["licences"].values() for name in names)
    for training in manifest.config["trainings"]:
        steps = [row["step"] for row in training["curve"]]
        assert steps == sorted(steps) and steps[-1] <= training["steps"] and training["recipe"]["rate"] > 0
    assert manifest.config["measured"]["pixels"]["mrr"] > manifest.config["measured"]["pixels"]["hit@1"] > 0


def test_the_tower_is_one_that_transformers_loads() -> None:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

    stock, told = Qwen3VLVisionModel.from_pretrained(WEIGHTS, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    tiles = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 256, 256))).float()
    with torch.no_grad():
        theirs = stock.float()(*stock_input(tiles)).pooler_output
        ours = load_reader(WEIGHTS).eye(tiles)[0][0]
    assert torch.allclose(theirs, ours, atol=1e-3)


TOPICS = (
    "spreadsheet columns imported through clipboard",
    "network printers discovered with broadcast packets",
    "kernel modules compiled against matching headers",
    "garden tomatoes watered every summer evening",
    "telescope mirrors polished until perfectly smooth",
)


def test_pages_are_found_by_their_pixels(tmp_path: Path) -> None:
    """Each page has a line of its own between two that all share; a question is three words of it."""
    from PIL import Image

    from drag_rl.mupdf import pymupdf

    embedder = open_multi_vector_embedder(MultiVectorSettings(model="reader", dtype="float32"))
    usual = "this chapter shows how all of it is done and where more can be read about these things "
    path = write_pdf(tmp_path / "a.pdf", [f"{usual}{topic} {usual}" for topic in TOPICS])
    images = []
    for page in pymupdf.open(path):
        drawn = page.get_pixmap(dpi=96, clip=(0, 0, page.rect.width, 160))
        images.append(Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples))
    pages = [page.vectors for page in embedder.embed_pages(images)]
    for number, topic in enumerate(TOPICS):
        [query] = embedder.embed_queries([" ".join(topic.split()[:3])])
        scores = [(query @ page.T).max(axis=1).sum() for page in pages]
        assert int(np.argmax(scores)) == number, topic


def test_a_reader_that_goes_on_keeps_how_it_was_trained_before_and_is_given_away_with_it(
    tmp_path: Path,
) -> None:
    torch.set_num_threads(1)
    pages = prepared_pages(tmp_path)
    store = PageStore(pages)
    settings = TrainSettings(steps=1, tiles=2, watch_steps=1, save_minutes=1e9)
    learning = LearnerSettings(others=16, tap=1)
    first = new_reader(0, width=64, depth=1)
    Training(store, tmp_path / "first", first, settings, learning, "cpu").go_on()
    begun = tmp_path / "first" / "model"
    again = load_reader(begun)
    Training(store, tmp_path / "second", again, settings, learning, "cpu", before=trainings_of(begun)).go_on()
    trainings = trainings_of(tmp_path / "second" / "model")
    assert len(trainings) == 2 and trainings[0] == trainings_of(begun)[0]
    assert trainings[1]["pages"] == store.fingerprint and trainings[1]["curve"][-1]["step"] == 1

    (tmp_path / "licences").mkdir()
    (tmp_path / "licences" / "some-doc.txt").write_text(
        "Files: *\nLicense: GPL-2+\n\nLicense: Expat\n text\n"
    )
    (tmp_path / "figures.json").write_text('{"pixels": {"mrr": 0.5}}')
    out = tmp_path / "out"
    publish(tmp_path / "second", out, pages, [tmp_path / "licences"], tmp_path / "figures.json")
    manifest = read_manifest(out)
    assert manifest.fingerprint == folder_fingerprint(out) and manifest.config["trainings"] == trainings
    assert manifest.config["licences"] == {"some-doc": ["Expat", "GPL-2+"]}
    assert manifest.config["measured"] == {"pixels": {"mrr": 0.5}} and "learnt.pdf" in manifest.inputs
    assert set(manifest.files or ()) == {"config.json", "model.safetensors", "words.safetensors"}
    assert load_reader(out).config.hidden_size == 64


def test_what_cannot_be_given_away_is_said(tmp_path: Path) -> None:
    pages = prepared_pages(tmp_path)
    with pytest.raises(InputError, match="holds no reader"):
        publish(tmp_path / "none", tmp_path / "out", pages, [], None)
    write_reader(tmp_path / "run" / "model")
    with pytest.raises(InputError, match="was trained on other pages"):
        publish(tmp_path / "run", tmp_path / "out", pages, [], None)
    assert licence_names(pages / "vocabulary.txt") == [] and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_index_of_pictures_finds_a_page_by_its_pixels(tmp_path: Path) -> None:
    """The whole way: a PDF without a text layer, ``drag index --kind late --model reader``, a search."""
    from drag_rl.cli.main import main
    from drag_rl.mupdf import pymupdf
    from drag_rl.retrieval import open_retriever
    from drag_rl.retrieval.base import Query

    printed = pymupdf.open(write_pdf(tmp_path / "printed" / "a.pdf", list(TOPICS)))
    scanned = pymupdf.open()
    for page in printed:
        scanned.new_page(width=page.rect.width, height=page.rect.height).insert_image(
            page.rect, pixmap=page.get_pixmap(dpi=150)
        )
    (tmp_path / "pdfs").mkdir()
    scanned.save(tmp_path / "pdfs" / "scan.pdf")
    for words in (
        ["ingest", "--pdf-dir", str(tmp_path / "pdfs"), "--out", str(tmp_path / "pages"), "--ocr", "off"],
        [
            *("index", "--kind", "late", "--model", "reader"),
            *("--pages", str(tmp_path / "pages"), "--out", str(tmp_path / "index")),
        ],
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert not stop.value.code
    retriever = open_retriever(tmp_path / "index")
    queries = [Query(text=" ".join(topic.split()[:3])) for topic in TOPICS]
    rankings = asyncio.run(retriever.search(queries, 1))
    found = [ranking.hits[0].page_id for ranking in rankings]
    assert found == [f"scan#{number}" for number in range(1, len(TOPICS) + 1)]
