"""A browser, and what an agent's page is tested over: each once for the tests of a file."""

from __future__ import annotations

import pytest
from chromium import launched


@pytest.fixture(scope="module")
def browser(pytestconfig):
    yield from launched(pytestconfig)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    from page_lab import make_data  # only for tests of the page: it takes a while

    return make_data(tmp_path_factory.mktemp("page"))
