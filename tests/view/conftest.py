"""A browser for the tests of a file: Playwright's event loop must not run beside those of other tests."""

from __future__ import annotations

import pytest
from chromium import find_chromium
from playwright.sync_api import sync_playwright

from drag_rl.errors import InputError


@pytest.fixture(scope="module")
def browser(pytestconfig):
    try:
        arguments = find_chromium(pytestconfig.cache.mkdir("chromium"))
    except InputError as error:
        if "is not installed here" not in str(error):
            raise
        pytest.skip(f"no Chromium: {error}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**arguments)
        yield browser
        browser.close()
