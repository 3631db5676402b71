"""Heat maps in a real browser, by mouse and keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from browser_lab import NO_OVERFLOW, look, report
from heat_samples import Hot
from playwright.sync_api import expect
from view_samples import write_trajectories

from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs

pytestmark = pytest.mark.slow


@pytest.fixture
def explained(tmp_path, pdf_dir, monkeypatch) -> Path:
    ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions(), dpi=96, workers=1)
    monkeypatch.setattr("drag_rl.cli.view.open_retriever", lambda _: Hot())
    trajectories = write_trajectories(tmp_path / "t.jsonl", 2)
    return report(tmp_path / "r.html", trajectories, pages=tmp_path / "pages", explain=tmp_path / "index")


PAINTED = """(canvas) => { const {width, height} = canvas;
    const copy = new OffscreenCanvas(width, height).getContext('2d');
    copy.drawImage(canvas, 0, 0);
    const data = copy.getImageData(0, 0, width, height).data;
    return [...Array(width * height).keys()].filter((cell) => data[4 * cell + 3] > 100); }"""
"""The cells of a map that are warm."""


def shot(page, name: str) -> None:
    """A picture of the page, where somebody wants to look at one."""
    if folder := os.environ.get("DRAG_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_where_hits_match_is_switched_on_by_mouse_and_keys(explained, browser):
    page, seen = look(browser, explained, place="#r=0")
    turn = page.locator(".turn").first
    layers = turn.locator("canvas.heat")
    words = turn.get_by_role("toolbar", name="Show where the hits match the query").locator("button")
    assert words.all_inner_texts() == ["whole query", "rotor", "brake", "q0", "1"]
    expect(layers.first).to_be_hidden()
    words.nth(1).click()
    assert words.nth(1).get_attribute("aria-pressed") == "true"
    expect(layers.first).to_be_visible()
    assert layers.first.evaluate(PAINTED) == [0]
    words.nth(1).press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "brake"
    assert layers.first.evaluate(PAINTED) == [1]
    picture, layer = turn.locator(".thumb img").first.bounding_box(), layers.first.bounding_box()
    assert layer == picture, "the map lies on the whole picture"
    shot(page, "heat")
    words.nth(2).press("Enter")
    expect(layers.first).to_be_hidden()
    page.locator("#list").focus()
    page.keyboard.press("h")
    assert layers.first.evaluate(PAINTED) == [0, 1], "the whole query"
    page.keyboard.press("h")
    assert layers.first.evaluate(PAINTED) == [0]
    page.keyboard.press("]")
    expect(page.locator("canvas.heat").first).to_be_visible()
    assert page.locator("canvas.heat").first.evaluate(PAINTED) == [0, 1], "stays on for the next one"
    assert page.evaluate(NO_OVERFLOW) == []
    assert seen.said == [] and all(url.startswith(("file:", "data:")) for url in seen.requests)
    page.close()


def test_the_large_picture_has_its_map_too(explained, browser):
    page, seen = look(browser, explained, width=1200, scheme="dark", place="#r=0")
    turn = page.locator(".turn").first
    turn.locator(".heat-bar button").nth(2).click()
    turn.locator(".thumb").first.click()
    dialog = page.locator("#picture")
    expect(dialog.locator("canvas.heat")).to_be_visible()
    assert dialog.locator("[aria-pressed=true]").inner_text() == "brake"
    dialog.locator(".heat-bar button").nth(1).click()
    assert dialog.locator("canvas.heat").evaluate(PAINTED) == [0]
    assert dialog.locator("canvas.heat").bounding_box() == dialog.locator("img").bounding_box()
    shot(page, "heat-large")
    page.keyboard.press("Escape")
    assert turn.locator("[aria-pressed=true]").inner_text() == "brake", "the report keeps its own"
    assert seen.said == []
    page.close()
