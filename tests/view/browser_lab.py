"""Making a report, opening it in a browser, and keeping what it did besides being looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page

from drag_rl.cli.main import main

NO_OVERFLOW = """() => [document.documentElement, ...document.querySelectorAll('#detail, #detail *, .side *')]
    .filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth + 1
        && !['hidden', 'auto', 'clip'].includes(getComputedStyle(e).overflowX))
    .map((e) => `${e.tagName}.${e.className}: ${e.scrollWidth} in ${e.clientWidth}`)"""


@dataclass
class Seen:
    """What a page did besides being looked at."""

    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def report(out, *inputs, **options):
    words = ["view", *map(str, inputs), "--out", str(out)]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    return out


def look(browser: Browser, path, *, width=1600, scheme="light", place="") -> tuple[Page, Seen]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = Seen()
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.on("dialog", lambda dialog: (seen.said.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri() + place)
    page.wait_for_selector("html[data-ready]")
    return page, seen
