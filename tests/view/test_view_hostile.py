"""A hostile trajectory in a real browser: nothing in it can act, and it can still be read."""

from __future__ import annotations

import pytest
from browser_lab import NO_OVERFLOW, look, report
from hostile import MARKUP, write_hostile

pytestmark = pytest.mark.slow

WIDTHS = (400, 1600)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hostile_trajectory_opens_clean(tmp_path, browser, width, scheme):
    path = report(tmp_path / "h.html", write_hostile(tmp_path / "hostile.jsonl"), title=MARKUP)
    page, seen = look(browser, path, width=width, scheme=scheme)
    for number in range(4):
        page.goto(f"{path.as_uri()}#r={number}")
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate(NO_OVERFLOW) == []
        page.evaluate("document.querySelectorAll('#detail details').forEach((part) => { part.open = true; })")
        page.wait_for_timeout(100)
        for _ in range(60):
            if not page.locator("#detail .more").count():
                break
            page.evaluate("document.querySelector('#detail .more').click()")
        assert page.evaluate(NO_OVERFLOW) == []
    page.goto(f"{path.as_uri()}#r=0")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    heading = page.locator(".question h2").inner_text()
    assert MARKUP[:80] in heading and "⟨NUL⟩" in heading and "⟨RLO⟩" in heading
    assert "\u202e" not in page.inner_text("body")
    assert page.locator(".thought .prose").first.inner_text().count("<b>spam</b>") > 100
    page.screenshot(path=tmp_path / "hostile.png")
    assert page.evaluate("window.__pwned") is None
    assert (
        page.locator("iframe, object, embed, base, a, #detail script, #detail style, #detail img").count()
        == 0
    )
    assert seen.said == []
    assert {address.split("#")[0] for address in seen.requests} == {path.as_uri()}
    page.close()
