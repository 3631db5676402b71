"""A small real world and a tiny model that searches and answers; made once for the slow tests here."""

from __future__ import annotations

import pytest
import training_lab

from drag_rl.episode import EpisodeConfig


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The folder of data, and that of the model."""
    from drag_rl.models.tiny import build_tiny

    folder = tmp_path_factory.mktemp("world")
    data = training_lab.make_data(folder / "data")
    build_tiny(folder / "untaught")
    config = EpisodeConfig(max_turns=3, think=False, citations=False, snippet_chars=80)
    return data, training_lab.teach(folder / "untaught", data, folder / "tiny", config)
