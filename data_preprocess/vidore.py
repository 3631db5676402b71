"""ViDoRe, visual document retrieval: ``drag data convert vidore --source FOLDER``.

V1 (Faysse et al. 2024, arXiv 2407.01449), V2 (Mace et al. 2025, arXiv 2505.17166), V3 (arXiv 2601.08620) and other sets
of page images in MTEB's layout. A page is an image; its text is the data set's own (V3's ``markdown``) or recognised.
The files are those of the hub: ``data_preprocess.vidore_files`` says where they lie.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from data_preprocess.dataset_card import card_facts
from data_preprocess.datasets import Dataset
from data_preprocess.parquet_rows import parquet_rows, text_of
from data_preprocess.vidore_corpus import Corpus
from data_preprocess.vidore_files import TableFile, of_role, table_files
from data_preprocess.vidore_judgements import judged
from data_preprocess.vidore_pairs import read_pairs
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem

CITATION = "ViDoRe: arXiv 2407.01449 (V1), arXiv 2505.17166 (V2), arXiv 2601.08620 (V3)"


def read_vidore(source: Path) -> Dataset:
    """The pages and queries of one data set. Raises ``InputError`` for what is no such data set, or is damaged."""
    files = table_files(source)
    facts = card_facts(source, CITATION) | _licences(of_role(files, "documents"))
    corpus, queries, qrels, pairs = (of_role(files, role) for role in ("corpus", "queries", "qrels", "pairs"))
    if corpus and queries and qrels:
        problems: list[Problem] = []
        pages = Corpus(corpus, problems)
        questions, dropped, languages = judged(source, queries, qrels, pages, problems)
        return Dataset(
            images=pages.images(),
            questions=questions,
            dropped=dropped,
            problems=problems,
            languages=languages,
            facts=facts,
        )
    if pairs and not (corpus or queries):
        return read_pairs(source, pairs, facts)
    raise InputError(
        f"--source {source}: is no data set of ViDoRe: it has {_names(files)}, and one has corpus, queries and "
        "qrels, or one table with query and image"
    )


def _names(files: list[TableFile]) -> str:
    return ", ".join(sorted({file.role or file.where for file in files}))


def _licences(files: list[TableFile]) -> dict[str, object]:
    """How many documents have which licence, where a table of documents says it."""
    counts: Counter[str] = Counter()
    for file in files:
        if column := file.column("license", "licence"):
            counts.update(text_of(row[column]) or "unknown" for _, row in parquet_rows(file.path, [column]))
    return {"licences_of_documents": dict(sorted(counts.items()))} if counts else {}
