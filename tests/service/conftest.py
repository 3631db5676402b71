"""A browser, and what an agent and its page are tested over: each once for the tests of a file, or of all."""

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


@pytest.fixture(scope="session")
def agent_data(tmp_path_factory):
    """A folder with an index, in which an agent searches."""
    from trajectory_lab import make_index

    folder = tmp_path_factory.mktemp("agent")
    make_index(folder)
    return folder
