r"""Open-domain questions with their corpus: ``drag data convert flashrag --source FOLDER``, and ``search-r1``.

Both names read both forms, of Natural Questions, HotpotQA and their like:

- FlashRAG (Jin et al. 2024, arXiv 2405.13576): ``{train,dev,test}.jsonl`` of ``{id, question, golden_answers,
  metadata}``, each data set in a folder of its name;
- Search-R1 (Jin et al. 2025, arXiv 2503.09516): ``train.parquet`` and ``test.parquet`` in veRL's columns, the question
  inside the prompt and beside it, the answers in ``reward_model.ground_truth.target``.

The corpus is JSON lines of ``{"id", "contents": "\"Title\"\ntext"}``, gzipped or not, anywhere in the folder; a
passage is a page. No row says which passage is right: ``data_preprocess.answer_gold`` finds them, and a question
without any is dropped and counted. ``--gold none`` takes the corpus alone, to be searched, as questions need gold
pages here.

Verified on the 17 questions of ``nq/test.jsonl`` and on passages of the sample corpus in FlashRAG's repository, whose
rows have no ``metadata``, and against Search-R1's documented columns. Unverified: whole files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_preprocess.answer_gold import MIN_SHARE, find_gold
from data_preprocess.bad_rows import DroppedRows
from data_preprocess.corpus_lines import LineCorpus, json_documents
from data_preprocess.datasets import Dataset, Questions
from data_preprocess.open_questions import OpenQuestion, read_open_questions
from data_preprocess.page_matcher import MAX_GOLD
from data_preprocess.parquet_rows import columns_of
from data_preprocess.reader_options import GoldFrom
from data_preprocess.text_lines import json_lines
from data_preprocess.written_pages import WrittenPages
from drag_rl.errors import InputError
from drag_rl.splits import Split
from drag_rl.types import Question

FACTS = {
    "licence": "of the questions: their data sets' own; of the corpus: Wikipedia's, CC BY-SA",
    "citation": "FlashRAG: arXiv 2405.13576; Search-R1: arXiv 2503.09516",
}
GOLD: dict[GoldFrom, dict[str, object]] = {
    "answers": {
        "from": "supporting facts where a row has them, else pages that hold an answer and are about the question",
        "max_gold": MAX_GOLD,
        "min_share": MIN_SHARE,
    },
    "facts": {"from": "supporting facts", "max_gold": MAX_GOLD},
    "none": {"from": "nowhere: there are no questions"},
}
"""What the manifest says of each choice of gold pages."""


def read_flashrag(source: Path, gold: GoldFrom = "answers", workers: int | None = 1) -> Dataset:
    """The corpus and the questions of a folder; ``facts`` leaves questions without supporting facts out, ``none`` all.

    ``workers`` processes look through the pages, where these are many; None: those of a Ray cluster.

    Raises ``InputError`` for a folder that lacks either, or a damaged file.
    """
    corpus, asked = _files(source)
    alone = gold == "none"
    needed = {"corpus (.jsonl with contents)": corpus, "questions (.jsonl or .parquet)": asked or alone}
    for what, found in needed.items():
        if not found:
            raise InputError(f"--source {source}: holds no {what}")
    rows = DroppedRows()
    return Dataset(
        texts=LineCorpus(files=corpus, read=json_documents, rows=rows),
        ask=lambda pages: _questions(asked, pages, rows, by_answers=gold == "answers", workers=workers),
        pages_alone=alone,
        dropped=rows.counts,
        problems=rows.problems,
        facts=FACTS | {"gold": GOLD[gold]},
    )


def _files(source: Path) -> tuple[list[Path], list[Path]]:
    """The files of the corpus and those of questions, told apart by their first rows."""
    paths = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    corpus, asked = [], []
    for path in paths:
        if path.suffix == ".parquet":
            if {"question", "prompt"} & set(columns_of(path)):
                asked.append(path)
        elif path.name.removesuffix(".gz").endswith(".jsonl"):
            _, row = next(json_lines(path, lambda _where, _why: None), ("", {}))
            if "golden_answers" in row or "question" in row:
                asked.append(path)
            elif "contents" in row or "text" in row:
                corpus.append(path)
    return corpus, asked


def _questions(
    paths: Sequence[Path], pages: WrittenPages, rows: DroppedRows, *, by_answers: bool, workers: int | None
) -> Questions:
    asked = list(read_open_questions(paths, rows))
    splits: dict[Split, list[Question]] = {}
    found = find_gold(asked, pages, rows, by_answers=by_answers, workers=workers)
    for question, gold in zip(asked, found, strict=True):
        if gold:
            splits.setdefault(question.split, []).append(_with_gold(question, gold))
        else:
            rows.drop("questions_without_gold_page")
    return splits


def _with_gold(question: OpenQuestion, gold: tuple[str, ...]) -> Question:
    return Question(
        question_id=question.question_id,
        text=question.text,
        gold_page_ids=gold,
        answers=question.answers,
        data_source=question.data_source,
    )
