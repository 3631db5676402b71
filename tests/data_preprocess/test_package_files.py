"""Files of Debian packages are fetched once, with their licences."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_preprocess.package_files import fetch_files
from drag_rl.errors import InputError


def test_without_the_tools_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get is not installed here"):
        fetch_files(["fonts-inconsolata"], [".otf"], tmp_path / "fonts")
    assert not (tmp_path / "fonts").exists()


@pytest.mark.slow
def test_fonts_are_fetched_once_with_their_licence(tmp_path: Path) -> None:
    out = tmp_path / "data" / "fonts"
    assert fetch_files(["fonts-inconsolata"], [".otf", ".ttf"], out) == (1, True)
    assert (out / "Inconsolata.otf").is_file() and (out / "licences" / "fonts-inconsolata.txt").is_file()
    assert fetch_files(["fonts-inconsolata"], [".otf", ".ttf"], out) == (1, False)
    with pytest.raises(InputError, match=r"holds no file that ends in \.pdf"):
        fetch_files(["fonts-inconsolata"], [".pdf"], tmp_path / "none")
