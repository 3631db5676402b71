"""A browser for the tests of a file: Playwright's event loop must not run beside those of other tests."""

from __future__ import annotations

import pytest
from chromium import launched


@pytest.fixture(scope="module")
def browser(pytestconfig):
    yield from launched(pytestconfig)
