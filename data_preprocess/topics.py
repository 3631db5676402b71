"""The queries of judged collections: BEIR's ``queries.jsonl``, tab-separated lines, and TREC's topics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from data_preprocess.bad_rows import OnBadRow, refuse
from data_preprocess.question_rows import shown
from data_preprocess.text_lines import json_lines, text_lines
from drag_rl.errors import InputError

_LABEL = re.compile(r"(?:number|topic)\s*:", re.IGNORECASE)
"""What old topics repeat before a field's value."""


def read_topics(path: Path, bad: OnBadRow = refuse) -> dict[str, str]:
    """Query id -> text, in the order of the file, which may be gzipped.

    A ``.jsonl`` file is BEIR's (``{"_id": ..., "text": ...}``, other names are ignored). Any other is TREC's topics
    (``<top>``, ``<num>``, ``<title>``; the title is the query) if it begins with a tag, else lines of an id, a tab and
    a text, as MS MARCO's. Raises ``InputError`` naming the file and the line or topic that is wrong, for an id that is
    there twice too, or tells ``bad``.
    """
    found: dict[str, str] = {}
    for where, query_id, text in _rows(path, bad):
        if not query_id or not text:
            bad(where, f"has no {'text' if query_id else 'id'}")
        elif found.setdefault(query_id, text) != text:
            bad(where, f"query {shown(query_id)} is there twice, with another text")
    if not found:
        raise InputError(f"{path}: has no query")
    return found


def _rows(path: Path, bad: OnBadRow) -> Iterator[tuple[str, str, str]]:
    """Where each query stands, its id and its text."""
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        for where, row in json_lines(path, bad):
            query_id, text = row.get("_id", row.get("id")), row.get("text")
            if isinstance(query_id, bool) or not isinstance(query_id, str | int) or not isinstance(text, str):
                bad(where, 'is not a query of BEIR, {"_id": ..., "text": ...}')
            else:
                yield where, str(query_id).strip(), text.strip()
        return
    lines = text_lines(path, bad)
    first = next(lines, None)
    if first is None:
        return
    rest = chain([first], lines)
    if first[1].lstrip().startswith("<"):
        yield from _topics(path, "\n".join(line for _, line in rest))
        return
    for where, line in rest:
        query_id, tab, text = line.partition("\t")
        if tab:
            yield where, query_id.strip(), text.strip()
        else:
            bad(where, "is not an id, a tab and a text")


def _topics(path: Path, content: str) -> Iterator[tuple[str, str, str]]:
    topics = re.split(r"<top>", content, flags=re.IGNORECASE)[1:]
    if not topics:
        raise InputError(f"{path}: begins with a tag, but has no topic of TREC (<top> <num> ... <title> ...)")
    for number, topic in enumerate(topics, start=1):
        yield f"{path} topic {number}", _field(topic, "num"), _field(topic, "title")


def _field(topic: str, tag: str) -> str:
    """What stands after a tag, up to the next one, in one line and without the label that old topics repeat."""
    after = re.split(rf"<{tag}>", topic, maxsplit=1, flags=re.IGNORECASE)[1:]
    return " ".join(_LABEL.sub("", "".join(after).partition("<")[0], count=1).split())
