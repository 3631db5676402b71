"""Training on pages that are photographs: a folder of JPEG files is all that there is of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from learning import check_learning, outcome_of
from training_lab import TWO_STEPS, train

from drag_rl.corpus.images import PageImages
from drag_rl.corpus.ingest import ingest_images
from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.tesseract import read_options
from drag_rl.retrieval import build_index


@pytest.fixture
def photographs(data: Path, tmp_path: Path) -> Path:
    """The same pages and questions: each page a JPEG file, with its text beside it."""
    shown, folder = PageImages(data / "pages"), tmp_path / "photographs"
    for page in load_pages(data / "pages"):
        file = folder / "jpegs" / page.doc_id / f"{page.page_number:03d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        shown.load(page.page_id).convert("RGB").save(file, quality=70)
        file.with_suffix(".txt").write_text(page.text, encoding="utf-8")
    ingest_images(folder / "jpegs", folder / "pages", read_options("off"))
    build_index(folder / "pages", folder / "index")
    for split in ("train", "val"):
        shutil.copy(data / f"questions.{split}.parquet", folder)
    return folder


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_folder_of_jpegs_is_trained_on_by_its_images(model, data, photographs, tmp_path):
    before = [(page.page_id, page.text) for page in load_pages(data / "pages")]
    assert [(page.page_id, page.text) for page in load_pages(photographs / "pages")] == before
    run = train(
        "grpo",
        model=model,
        data=photographs,
        folder=tmp_path / "run",
        options=[
            *TWO_STEPS,
            "drag.episode.observation=image",
        ],
    )
    assert run.returncode == 0, run.log[-3000:]
    check_learning(run, model, steps=2)
    outcomes = [outcome_of(row) for row in run.trajectories()]
    assert {turn.action.kind for outcome in outcomes for turn in outcome.searches} == {"search"}
    shown = [page_id for outcome in outcomes for turn in outcome.turns for page_id in turn.image_page_ids]
    assert shown and {*shown} <= {page_id for page_id, _ in before}
