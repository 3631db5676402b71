"""DeepRetrieval's literature searches (Jiang et al. 2025, arXiv 2503.00223): ``drag data convert deepretrieval``.

``--source FOLDER`` holds ``{train,test}.jsonl`` of PubMed or of clinical trials, a line for each review:
``{"pico": {"P": ..., "I": ..., "C": ..., "O": ...}, "publication_pmids": [...], "pub_date": ...}``, with
``trial_nctids`` for trials. There is no corpus: the authors ask PubMed's and ClinicalTrials.gov's own servers. So
``--corpus FILE`` is a dump that you have, JSON lines as BEIR writes them, whose ids are PMIDs or NCT ids; gold that is
not in it is counted.

Verified against the authors' own readers of both (``pubmed.py`` and ``ctgov.py`` of their repository): the files'
names, ``pico``, ``publication_pmids`` and ``trial_nctids``. Unverified, as no row of the data set has been seen: of
which type the ids are (texts and numbers are both taken), and whether a part may be missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.corpus_lines import LineCorpus, clean_id, json_documents
from data_preprocess.datasets import Dataset, Questions
from data_preprocess.parquet_rows import text_of, texts_of
from data_preprocess.text_lines import json_lines
from data_preprocess.visual_rows import split_of
from data_preprocess.written_pages import WrittenPages
from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.splits import Split
from drag_rl.types import Question

GOLD = ("publication_pmids", "trial_nctids")
PARTS = ("P", "I", "C", "O")
"""Population, intervention, comparison, outcome."""
WRONG = "questions_that_are_wrong"
CORPUS = "corpus.jsonl"
FACTS = {
    "licence": "see the data set's card; PubMed's abstracts are their publishers'",
    "citation": "DeepRetrieval: Jiang et al. 2025, arXiv 2503.00223",
}


def read_deepretrieval(source: Path, *, corpus: Path | None = None) -> Dataset:
    """The documents of the dump and the questions; raises ``InputError`` for a file that is missing or damaged.

    ``corpus`` is the dump, ``corpus.jsonl`` of the source if it is not given.
    """
    corpus = corpus or source / CORPUS
    if not corpus.is_file():
        raise InputError(
            f"--corpus {corpus}: no such file; the data set has no documents, so give a dump of them"
        )
    found = sorted(source.rglob("*.jsonl")) if source.is_dir() else []
    files = [
        (path, split) for path in found if path.resolve() != corpus.resolve() and (split := split_of(path))
    ]
    if not files:
        raise InputError(f"--source {source}: holds no train.jsonl or test.jsonl")
    rows = DroppedRows()

    def ask(pages: WrittenPages) -> Questions:
        return _questions(source, files, pages, rows)

    return Dataset(
        texts=LineCorpus(files=[corpus], read=json_documents, rows=rows),
        ask=ask,
        dropped=rows.counts,
        problems=rows.problems,
        facts=FACTS,
    )


def _questions(
    source: Path, files: list[tuple[Path, Split]], pages: WrittenPages, rows: DroppedRows
) -> Questions:
    known = pages.known(
        {gold for path, _ in files for _, row in json_lines(path, _ignore) for gold in _gold(row)}
    )
    splits: dict[Split, list[Question]] = {}
    counts: Counter[str] = Counter()
    for path, split in files:
        name = path.relative_to(source).with_suffix("").as_posix().replace("/", "-")
        for where, row in json_lines(path, rows.as_reason(WRONG)):
            counts[name] += 1
            text, gold = pico_text(row.get("pico")), list(_gold(row))
            there = [page_id for page_id in gold if page_id in known]
            rows.counts["gold_documents_that_are_not_in_the_corpus"] += len(gold) - len(there)
            if not text:
                rows.drop(WRONG, where, 'has no question: {"pico": {"P": ..., "I": ..., "C": ..., "O": ...}}')
            elif not gold:
                rows.drop("questions_without_gold_page", where, f"has neither {GOLD[0]} nor {GOLD[1]}")
            elif not there:
                rows.drop("questions_whose_gold_is_not_in_the_corpus")
            else:
                own = Question(
                    question_id=f"{name}-{counts[name]}",
                    text=text,
                    gold_page_ids=tuple(there),
                    data_source="deepretrieval",
                )
                splits.setdefault(split, []).append(own)
    rows.counts += Counter()  # without those that are 0
    return splits


def pico_text(pico: object) -> str:
    """The question that the policy is asked: its parts, each with its letter, as the authors' prompt has them.

    >>> pico_text({"P": "adults with asthma", "I": "steroids", "C": None, "O": "exacerbations"})
    'P: adults with asthma\\nI: steroids\\nO: exacerbations'
    """
    parts = pico if isinstance(pico, dict) else {}
    told = ((part, clean_text(text_of(parts.get(part)))) for part in PARTS)
    return "\n".join(f"{part}: {' '.join(text.split())}" for part, text in told if text)


def _gold(row: Mapping[str, Any]) -> Iterator[str]:
    """The ids of a row's gold pages, each once."""
    ids = (clean_id(text) for name in GOLD for text in texts_of(row.get(name)))
    yield from dict.fromkeys(f"{doc_id}#1" for doc_id in ids if doc_id)


def _ignore(_where: str, _why: str) -> None:
    """Pass over a bad line, which is listed when the questions are read."""
