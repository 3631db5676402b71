"""The two models, built once for all tests of this folder."""

from __future__ import annotations

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def tiny_dir(tiny_model):
    return tiny_model


@pytest.fixture(scope="session")
def smol_dir(tmp_path_factory):
    from drag_rl.models.smol import build_smol

    out = tmp_path_factory.mktemp("models") / "smol"
    assert build_smol(out)
    return out


@pytest.fixture(params=["tiny", pytest.param("smol", marks=pytest.mark.slow)])
def model_dir(request):
    """Both models, in turn."""
    return request.getfixturevalue(f"{request.param}_dir")
