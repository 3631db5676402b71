"""What the documents name is there: files, headings, and modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
ROOMS = "drag_rl|reward|data_preprocess|configs|scripts|tests|docs|examples|benchmarks"
PATH = re.compile(rf"(?<![\w./-])((?:{ROOMS})/[\w./*-]*)")


def anchors(path: Path) -> set[str]:
    """The anchors that a reader's browser finds: headings, in lower case, with hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    text = FENCE.sub("", path.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_file_named_is_there(path: Path) -> None:
    for name in PATH.findall(path.read_text()):
        assert list(ROOT.glob(name.rstrip("/."))), f"{path.name} names {name}"
