"""Collections of BEIR (Thakur et al. 2021, arXiv 2104.08663): ``drag data convert beir --source FOLDER``.

A document is a page, ``<its id>#1``, with its title above its text. Queries keep their splits and their grades. Unlike
BEIR's own loader, which passes over the first line of a file of judgements unread, this one loses nothing of a file
without a header.
"""

from __future__ import annotations

from pathlib import Path

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.corpus_lines import LineCorpus, json_documents
from data_preprocess.datasets import Dataset
from data_preprocess.judged_questions import beir_files
from data_preprocess.judged_sets import JudgedSet
from drag_rl.errors import InputError


def read_beir(source: Path) -> Dataset:
    """The documents and judged queries of a folder with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/*.tsv``.

    Raises ``InputError`` naming the file that is missing or cannot be read.
    """
    queries, qrels = beir_files(source)
    corpus = source / "corpus.jsonl"
    if not corpus.is_file():
        raise InputError(f"{corpus}: no such file")
    rows = DroppedRows()
    return Dataset(
        texts=LineCorpus(files=[corpus], read=json_documents, rows=rows),
        ask=JudgedSet(queries=queries, qrels=qrels, data_source=source.resolve().name, rows=rows),
        dropped=rows.counts,
        problems=rows.problems,
        facts={"citation": "BEIR: Thakur et al. 2021, arXiv 2104.08663; see the collection's own licence"},
    )
