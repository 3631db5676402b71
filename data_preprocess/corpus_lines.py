"""Documents of text collections, one a line: JSON with an id and a text, or tab-separated fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.datasets import TextPage
from data_preprocess.text_lines import LineSource, json_lines, text_lines
from drag_rl.corpus.clean_text import clean_text

WRONG = "documents_that_are_wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCorpus:
    """The documents of files that have one on each line, so that any lines of them can be read by themselves."""

    files: Sequence[Path]
    """Read one after another."""
    read: Callable[[LineSource, DroppedRows], Iterator[TextPage]]
    """Reads a file, or a piece of one; a function of a module, as other processes are to find it."""
    rows: DroppedRows
    """Where rows that are wrong are counted and listed."""

    def __iter__(self) -> Iterator[TextPage]:
        """Every document, in the order of the files."""
        for path in self.files:
            yield from self.read(path, self.rows)


def json_documents(source: LineSource, rows: DroppedRows) -> Iterator[TextPage]:
    """The documents of JSON lines, as BEIR, Anserini and Search-R1 write them.

    ``_id``, ``id`` or ``docid`` is the id; ``title`` and ``text``, or ``contents``, are the text. The first line of
    ``contents`` is a title where there are more, and may stand in quotes.
    """
    for where, row in json_lines(source, rows.as_reason(WRONG)):
        doc_id, text = document_id(row), _text(row)
        if not doc_id:
            rows.drop(WRONG, where, 'has no id: a document is {"_id": ..., "title": ..., "text": ...}')
        elif text is None:
            rows.drop(WRONG, where, f"document {doc_id!r} has no text")
        else:
            yield TextPage(doc_id=doc_id, text=text, where=where)


def tsv_documents(source: LineSource, rows: DroppedRows) -> Iterator[TextPage]:
    """The documents of lines of an id, a tab and a text."""
    for where, line in text_lines(source, rows.as_reason(WRONG)):
        doc_id, tab, text = line.partition("\t")
        doc_id = clean_id(doc_id)
        if tab and doc_id:
            yield TextPage(doc_id=doc_id, text=clean_text(text), where=where)
        else:
            rows.drop(WRONG, where, "has no id" if tab else "is not an id, a tab and a text")


def document_id(row: Mapping[str, Any]) -> str:
    """The id of a JSON document; empty if it has none."""
    found = next((row[name] for name in ("_id", "id", "docid") if row.get(name) is not None), None)
    return clean_id(str(found)) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def clean_id(text: str) -> str:
    """An id in one line, without blanks around it and without what cannot be printed."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))


def _text(row: Mapping[str, Any]) -> str | None:
    title, text, contents = row.get("title"), row.get("text"), row.get("contents")
    if isinstance(text, str):
        return clean_text(f"{title}\n\n{text}" if isinstance(title, str) and title.strip() else text)
    if not isinstance(contents, str):
        return None
    first, line_end, rest = contents.partition("\n")
    return clean_text(f"{unquoted(first)}\n\n{rest}" if line_end else contents)


def unquoted(title: str) -> str:
    """A title without the quotes around it.

    >>> unquoted('"Rotor"'), unquoted('The "Rotor"')
    ('Rotor', 'The "Rotor"')
    """
    title = title.strip()
    return title[1:-1] if len(title) > 1 and title[0] == title[-1] == '"' else title
