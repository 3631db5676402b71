"""The queries of judged collections: BEIR's ``queries.jsonl``, tab-separated lines, and TREC's topics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.question_rows import read_rows
from drag_rl.errors import InputError

_LABEL = re.compile(r"(?:number|topic)\s*:", re.IGNORECASE)
"""What old topics repeat before a field's value."""


def read_topics(path: Path) -> dict[str, str]:
    """Query id -> text, in the order of the file.

    A ``.jsonl`` file is BEIR's (``{"_id": ..., "text": ...}``, other names are ignored). Any other is TREC's topics
    (``<top>``, ``<num>``, ``<title>``; the title is the query) if it begins with a tag, else lines of an id, a tab and
    a text, as MS MARCO's. Raises ``InputError`` naming the file and the line or topic that is wrong, for an id that is
    there twice too.
    """
    found: dict[str, str] = {}
    for where, query_id, text in _jsonl(path) if path.suffix == ".jsonl" else _text(path):
        if not query_id or not text:
            raise InputError(f"{where}: has no {'text' if query_id else 'id'}")
        if found.setdefault(query_id, text) != text:
            raise InputError(f"{where}: query {query_id!r} is there twice, with another text")
    if not found:
        raise InputError(f"{path}: has no query")
    return found


def _jsonl(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, row in read_rows(path):
        query_id, text = row.get("_id", row.get("id")), row.get("text")
        if isinstance(query_id, bool) or not isinstance(query_id, str | int) or not isinstance(text, str):
            raise InputError(f'{path} line {number}: is not a query of BEIR, {{"_id": ..., "text": ...}}')
        yield f"{path} line {number}", str(query_id).strip(), text.strip()


def _text(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if content.lstrip().startswith("<"):
        yield from _topics(path, content)
        return
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            query_id, tab, text = line.partition("\t")
            if not tab:
                raise InputError(f"{path} line {number}: is not an id, a tab and a text")
            yield f"{path} line {number}", query_id.strip(), text.strip()


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
