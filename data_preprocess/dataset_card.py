"""The card of a data set from the hub, its ``README.md``: licence and citation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

CARD = "README.md"
MAX_CHARS = 1 << 20
_FENCE = "---"
_BIBTEX = re.compile(r"@[a-zA-Z]+\{[^`]*")


def card_facts(source: Path, citation: str) -> dict[str, object]:
    """``licence`` and ``citation`` as the card says them; without a word of it the licence is unknown and the citation
    is the given one."""
    try:
        text = (source / CARD).read_text(encoding="utf-8", errors="replace")[:MAX_CHARS]
    except OSError:
        text = ""
    try:
        told: Any = yaml.safe_load(_front_matter(text))
    except yaml.YAMLError:
        told = {}
    licence = told.get("license") if isinstance(told, dict) else None
    found = _BIBTEX.search(text)
    return {
        "licence": str(licence) if licence else "unknown: see the data set's page",
        "citation": found[0].strip() if found else citation,
    }


def _front_matter(text: str) -> str:
    """The YAML between the first line and the next that is a fence; empty without both."""
    lines = text.splitlines()
    fences = [number for number, line in enumerate(lines) if line.rstrip() == _FENCE][:2]
    return "\n".join(lines[1 : fences[1]]) if len(fences) == 2 and fences[0] == 0 else ""
