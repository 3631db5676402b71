"""A real world to train in and a model that speaks, made once for all runs of this folder."""

from __future__ import annotations

import pytest
import training_lab

from drag_rl.episode import EpisodeConfig


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return training_lab.make_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="session")
def model(tmp_path_factory, data):
    from drag_rl.models.tiny import build_tiny

    folder = tmp_path_factory.mktemp("models")
    build_tiny(folder / "random")
    config = EpisodeConfig(max_turns=3, snippet_chars=80, think=False)
    return training_lab.teach(folder / "random", data, folder / "speaking", config)
