"""Only the published file will do, and what to do about it is said in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drag_rl.errors import InputError
from drag_rl.files.manifest import sha256_file
from drag_rl.models.smol import build_smol
from drag_rl.models.smol_gguf import GGUF_SHA256, cached_gguf, default_cache, verified_gguf


def test_another_file_is_refused_by_its_hash(tmp_path):
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r"other\.gguf is not SmolLM2.*SHA-256"):
        build_smol(tmp_path / "out", gguf=other)
    with pytest.raises(InputError, match="does not exist"):
        verified_gguf(tmp_path / "absent.gguf")
    assert not (tmp_path / "out").exists()


def test_when_it_cannot_be_fetched_the_message_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    with pytest.raises(InputError, match=r"cannot be fetched.*--gguf"):
        cached_gguf(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_looking_for_the_installer_leaves_setuptools_usable():
    """After ``find_spec("pip")``, setuptools, and with it vLLM, cannot be imported any more."""
    script = "from drag_rl.models.smol_gguf import _installer; print(_installer()); import setuptools"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_cache_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "drag-rl"


@pytest.mark.slow
def test_it_is_fetched_once_and_mended_when_broken(tmp_path):
    path = cached_gguf(tmp_path)
    written = path.stat().st_mtime_ns
    assert sha256_file(path) == GGUF_SHA256
    assert cached_gguf(tmp_path).stat().st_mtime_ns == written
    path.write_bytes(b"cut off")
    assert sha256_file(cached_gguf(tmp_path)) == GGUF_SHA256
