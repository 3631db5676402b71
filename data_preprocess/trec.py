"""Collections of TREC with their documents: ``drag data convert trec --source FOLDER``.

Topics (files with ``topic`` or ``quer`` in their name), judgements (``qrel``; train, dev or test as their name says,
else test), and documents: ``<DOC>`` with ``<DOCNO>``, or JSON lines with ``id`` and ``contents`` as Anserini writes
them. All may be gzipped. A document is a page. Judgements may be graded, also below 0. Old collections are written in
Latin-1: a line that is no UTF-8 is read so.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.collection_files import collection_files
from data_preprocess.corpus_lines import WRONG, LineCorpus, clean_id, json_documents
from data_preprocess.datasets import Dataset, TextPage
from data_preprocess.judged_sets import JudgedSet
from data_preprocess.text_lines import text_lines
from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError

MAX_CHARS = 16 << 20
"""Characters of a document, at most."""
_DOCNO = re.compile(r"<DOCNO>([^<]{1,1000})</DOCNO>", re.IGNORECASE)
_HEADER = re.compile(r"<(/?)DOCHDR>", re.IGNORECASE)
_TAG = re.compile(r"<[/!?]?[a-zA-Z][^<>]{0,500}>|<!--")
_BEGIN, _END = re.compile(r"\s*<DOC>", re.IGNORECASE), re.compile(r"</DOC>\s*$", re.IGNORECASE)


def read_trec(source: Path) -> Dataset:
    """The documents, topics and judgements of a folder. Raises ``InputError`` for what is missing or damaged."""
    files = collection_files(source)
    documents = [path for path in files.others if _is_json(path) or _is_sgml(path)]
    for what, found in {"topics": files.queries, "qrels": files.qrels, "documents": documents}.items():
        if not found:
            raise InputError(
                f"--source {source}: has no {what}; it needs files named *topics* (or *queries*), *qrels*, and "
                "documents, which begin with <DOC>, or are .jsonl"
            )
    rows = DroppedRows()
    return Dataset(
        texts=LineCorpus(files=documents, read=json_documents, rows=rows)
        if all(map(_is_json, documents))
        else _documents(documents, rows),
        ask=JudgedSet(queries=files.queries, qrels=files.qrels, data_source=source.resolve().name, rows=rows),
        dropped=rows.counts,
        problems=rows.problems,
        facts={
            "licence": "that of the collection: many of TREC's are by agreement",
            "citation": "the track's overview",
        },
    )


def _documents(paths: Sequence[Path], rows: DroppedRows) -> Iterator[TextPage]:
    return chain.from_iterable(
        json_documents(path, rows) if _is_json(path) else sgml_documents(path, rows) for path in paths
    )


def sgml_documents(path: Path, rows: DroppedRows) -> Iterator[TextPage]:
    """The documents of a file of ``<DOC>`` elements; each element is held by itself."""
    where, chars = "", 0
    lines: list[str] = []
    for place, line in text_lines(path, rows.as_reason(WRONG), otherwise="latin-1"):
        if _BEGIN.match(line):
            if where:
                rows.drop(WRONG, where, "is a document without </DOC>")
            where, lines, chars = place, [], 0
        if not where:
            continue
        lines.append(line)
        chars += len(line)
        if chars > MAX_CHARS:
            rows.drop(WRONG, where, f"has more than {MAX_CHARS} characters")
            where = ""
        elif _END.search(line):
            text = "\n".join(lines)
            if found := _DOCNO.search(text):
                yield TextPage(doc_id=clean_id(found[1]), text=_plain(text), where=where)
            else:
                rows.drop(WRONG, where, "has no <DOCNO>")
            where = ""
    if where:
        rows.drop(WRONG, where, "is a document without </DOC>")


def _plain(text: str) -> str:
    """What is between the tags, entities resolved."""
    text = _DOCNO.sub("", _without_headers(text))
    lines = (line.strip() for line in html.unescape(_TAG.sub("", text)).split("\n"))
    return clean_text("\n".join(line for line in lines if line))


def _without_headers(text: str) -> str:
    """The text without what stands from a ``<DOCHDR>`` to its end; in time that grows with the text alone."""
    kept, done, opened = [], 0, None
    for tag in _HEADER.finditer(text):
        if not tag[1]:
            opened = tag.start() if opened is None else opened
        elif opened is not None:
            kept.append(text[done:opened])
            done, opened = tag.end(), None
    return "".join([*kept, text[done:]])


def _is_json(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".jsonl")


def _is_sgml(path: Path) -> bool:
    """Whether the first line of a file begins a document."""
    first = next(text_lines(path, lambda _where, _why: None, otherwise="latin-1"), ("", ""))
    return _BEGIN.match(first[1]) is not None
