"""The small real world of these tests and the model that searches and answers in it."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def world(tiny_data, speaking_model):
    """The folder of data, and that of the model."""
    return tiny_data, speaking_model
