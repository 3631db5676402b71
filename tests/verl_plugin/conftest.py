"""A real world to train in and its models, made once for all tests of this folder."""

from __future__ import annotations

import pytest
import training_lab

from drag_rl.episode import EpisodeConfig


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return training_lab.make_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A random model."""
    from drag_rl.models.tiny import build_tiny

    folder = tmp_path_factory.mktemp("models") / "tiny"
    build_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def processor(tiny):
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(tiny)


@pytest.fixture(scope="session")
def model(tmp_path_factory, tiny, data):
    """A model that speaks the protocol."""
    config = EpisodeConfig(max_turns=3, snippet_chars=80, think=False)
    return training_lab.teach(tiny, data, tmp_path_factory.mktemp("models") / "speaking", config)
