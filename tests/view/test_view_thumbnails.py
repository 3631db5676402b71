"""Pictures: the pages that matter, small enough."""

from __future__ import annotations

import base64
import io

from PIL import Image
from view_samples import write_trajectories

from drag_rl.corpus.images import PageImages
from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs
from drag_rl.corpus.renderer import PageRenderError, Renderer
from drag_rl.view.read import read_rollouts
from drag_rl.view.sources import find_sources
from drag_rl.view.thumbnails import BUDGET_BYTES, draw_thumbnails, wanted_pages, width_for


def test_gold_pages_come_first_then_the_most_seen(tmp_path):
    rollouts = read_rollouts(find_sources([write_trajectories(tmp_path / "t.jsonl", 3)]), 0).rollouts
    pages = wanted_pages(rollouts, 100)
    assert pages[:2] == ["manuals/rotor#1", "manuals/rotor#2"]
    assert sorted(pages[2:]) == ["engine#1", "engine#2", "engine#3"]
    assert wanted_pages(rollouts, 1) == ["manuals/rotor#1"] and wanted_pages(rollouts, 0) == []


def test_pages_get_pictures_and_missing_ones_are_named(tmp_path, pdf_dir):
    ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions(), dpi=96, workers=1)
    pages = ["engine#1", "manuals/rotor#2", "gone#1"]
    found, notes = draw_thumbnails(PageImages(tmp_path / "pages"), pages)
    assert list(found) == pages[:2] and len(notes) == 1 and "gone#1" in notes[0]
    for picture in found.values():
        kind, _, code = picture.url.partition(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(code))) as image:
            assert (image.size, image.mode) == ((picture.width, picture.height), "L")
            assert 180 <= image.width <= width_for(3)


class Stalls(Renderer):
    """Cannot render anything."""

    def render(self, request):
        raise PageRenderError(f"page {request.page_number} takes too long", stalled=True)


def test_a_page_that_cannot_be_rendered_is_named_and_has_no_picture(tmp_path, pdf_dir):
    ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions(), workers=1)
    found, notes = draw_thumbnails(PageImages(tmp_path / "pages", renderer=Stalls()), ["engine#1"])
    assert not found and notes == ["page engine#1: cannot be rendered (page 1 takes too long)"]


def test_many_pictures_are_narrow_and_the_budget_is_megabytes():
    assert width_for(10) > width_for(500) > width_for(5000) >= 180
    assert BUDGET_BYTES < 20_000_000
