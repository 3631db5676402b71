"""The shared world to train in and its models, under the names of these tests."""

from __future__ import annotations

import os

import pytest

# Else a rollout that fails where there is no queue starts a Ray to look for one, which takes a minute and hides why.
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")


@pytest.fixture(scope="session")
def data(tiny_data):
    return tiny_data


@pytest.fixture(scope="session")
def tiny(tiny_model):
    """A random model."""
    return tiny_model


@pytest.fixture(scope="session")
def processor(tiny):
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(tiny)


@pytest.fixture(scope="session")
def model(speaking_model):
    """A model that speaks the protocol."""
    return speaking_model
