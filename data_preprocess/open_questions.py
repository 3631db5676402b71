"""Rows of open-domain questions as FlashRAG and Search-R1 write them: a question with answers, and no gold page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.collection_files import split_of
from data_preprocess.corpus_lines import unquoted
from data_preprocess.parquet_rows import columns_of, parquet_rows, text_of, texts_of
from data_preprocess.text_lines import json_lines
from drag_rl.corpus.clean_text import clean_text
from drag_rl.splits import Split

COLUMNS = ("id", "question", "golden_answers", "metadata", "data_source", "prompt", "reward_model")
WRONG = "questions_that_are_wrong"
_ASKED = "Question:"
"""After this word Search-R1's prompt has the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A sentence that supports an answer, and the title of the article that it is in."""

    title: str
    sentence: str
    """Empty where the row does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion:
    """A question whose gold pages are to be found."""

    where: str
    """File and row."""
    split: Split
    question_id: str
    data_source: str
    text: str
    answers: tuple[str, ...]
    facts: tuple[Fact, ...] = ()


def read_open_questions(paths: Sequence[Path], rows: DroppedRows) -> Iterator[OpenQuestion]:
    """The questions of ``.jsonl`` and ``.parquet`` files, each id of a data source once.

    Ids such as ``train_0`` recur in every data set, so the data source is put before them.
    """
    seen: set[str] = set()
    for path in paths:
        for where, row in _rows(path, rows):
            text, answers = _text(row), _answers(row)
            data_source = text_of(row.get("data_source")) or path.resolve().parent.name
            question_id = (
                f"{data_source}-{text_of(row.get('id')) or where.rpartition('/')[2].replace(' ', '-')}"
            )
            if not text:
                rows.drop(WRONG, where, "has no question")
            elif not answers:
                rows.drop("questions_without_answer", where)
            elif question_id in seen:
                rows.drop("questions_asked_again", where, f"question id {question_id!r} is there twice")
            else:
                seen.add(question_id)
                yield OpenQuestion(
                    where=where,
                    split=split_of(path),
                    question_id=question_id,
                    data_source=data_source,
                    text=text,
                    answers=answers,
                    facts=tuple(supporting_facts(row.get("metadata"))),
                )


def _rows(path: Path, rows: DroppedRows) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix != ".parquet":
        yield from json_lines(path, rows.as_reason(WRONG))
        return
    columns = [name for name in columns_of(path) if name in COLUMNS]
    for number, row in parquet_rows(path, columns):
        yield f"{path} row {number}", row


def _text(row: Mapping[str, Any]) -> str:
    if isinstance(row.get("question"), str):
        return clean_text(row["question"])
    prompt = row.get("prompt")
    last = prompt[-1] if isinstance(prompt, list) and prompt else {}
    content = last.get("content") if isinstance(last, dict) else None
    return clean_text(content.rpartition(_ASKED)[2]) if isinstance(content, str) else ""


def _answers(row: Mapping[str, Any]) -> tuple[str, ...]:
    """FlashRAG's ``golden_answers``, else what Search-R1's reward is given."""
    found = row.get("golden_answers")
    if found is None:
        model = row.get("reward_model")
        truth = model.get("ground_truth") if isinstance(model, dict) else None
        found = truth.get("target") if isinstance(truth, dict) else truth
    cells = found if isinstance(found, list) else [found]
    return tuple(
        clean_text(text) for text in texts_of([one for one in cells if isinstance(one, str | int | float)])
    )


def supporting_facts(metadata: Any) -> Iterator[Fact]:
    """The supporting facts of a row of HotpotQA: by columns, as on the hub, or in pairs, as the authors have them.

    Unverified: that FlashRAG keeps them so is from memory.

    >>> facts = {"title": ["Rotor"], "sent_id": [1]}
    >>> context = {"title": ["Rotor"], "sentences": [["It turns.", "It lifts."]]}
    >>> list(supporting_facts({"supporting_facts": facts, "context": context}))
    [Fact(title='Rotor', sentence='It lifts.')]
    """
    metadata = metadata if isinstance(metadata, dict) else {}
    sentences = {
        title: own for title, own in _pairs(metadata.get("context"), "sentences") if isinstance(own, list)
    }
    for title, number in _pairs(metadata.get("supporting_facts"), "sent_id"):
        own = sentences.get(title, [])
        inside = isinstance(number, int) and 0 <= number < len(own) and isinstance(own[number], str)
        if name := unquoted(title):
            yield Fact(title=name, sentence=own[number].strip() if inside else "")


def _pairs(cell: Any, name: str) -> list[tuple[str, Any]]:
    """Title and value, from columns ``title`` and ``name``, or from a list of pairs."""
    if isinstance(cell, dict) and isinstance(cell.get("title"), list) and isinstance(cell.get(name), list):
        found: list[Any] = list(zip(cell["title"], cell[name], strict=False))
    else:
        found = (
            [tuple(pair) for pair in cell if isinstance(pair, list) and len(pair) == 2]
            if isinstance(cell, list)
            else []
        )
    return [(title, value) for title, value in found if isinstance(title, str)]
