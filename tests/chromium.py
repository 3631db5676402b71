"""A headless Chromium: the machine's own, or Debian's, unpacked without root."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from data_preprocess.debian import DebianPackages
from drag_rl.errors import InputError

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


def find_chromium(folder: Path) -> dict[str, object]:
    """Arguments for Playwright's ``chromium.launch``; what has to be fetched is kept in ``folder``.

    Raises ``InputError`` if there is no Chromium and no way to fetch one.
    """
    for name in NAMES:
        if found := shutil.which(name):
            return {"executable_path": found}
    root = folder / "root"
    if not root.exists():
        _fetch(root)
    libraries = [*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*")]
    libraries += [path for parent in libraries for path in parent.glob("pulseaudio")]
    environment = {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "FONTCONFIG_FILE": str(root / "fonts.conf"),
        "HOME": str(root),
    }
    return {"executable_path": str(root / "usr/lib/chromium/chromium-headless-shell"), "env": environment}


def launched(config: pytest.Config) -> Iterator[Browser]:
    """The browser, for a fixture of one file: Playwright's event loop must not run beside those of other tests."""
    try:
        arguments = find_chromium(config.cache.mkdir("chromium"))
    except InputError as error:
        if "is not installed here" not in str(error):
            raise
        pytest.skip(f"no Chromium: {error}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**arguments)
        yield browser
        browser.close()


def _fetch(root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".fetch-") as name:
        work = Path(name)
        debian = DebianPackages(work, "install chromium to run this test")
        unpacked = work / "root"
        for package in debian.with_dependencies(PACKAGES):
            debian.unpack(debian.download(package), unpacked)
        fonts = FONTS.format(fonts=root / "usr/share/fonts", cache=root / "fonts-cache")
        (unpacked / "fonts.conf").write_text(fonts, encoding="utf-8")
        unpacked.rename(root)
