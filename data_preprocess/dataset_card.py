"""The card of a data set from the hub, its ``README.md``: licence and citation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

CARD = "README.md"
MAX_CHARS = 1 << 20
_FRONT = re.compile(r"---\s*\n(.*?\n)---\s*\n", re.DOTALL)
_BIBTEX = re.compile(r"@[a-zA-Z]+\{[^`]*")


def card_facts(source: Path, citation: str) -> dict[str, object]:
    """``licence`` and ``citation`` as the card says them; without a word of it the licence is unknown and the citation
    is the given one."""
    try:
        text = (source / CARD).read_text(encoding="utf-8", errors="replace")[:MAX_CHARS]
    except OSError:
        text = ""
    front = _FRONT.match(text)
    try:
        told: Any = yaml.safe_load(front[1]) if front else {}
    except yaml.YAMLError:
        told = {}
    licence = told.get("license") if isinstance(told, dict) else None
    found = _BIBTEX.search(text)
    return {
        "licence": str(licence) if licence else "unknown: see the data set's page",
        "citation": found[0].strip() if found else citation,
    }
