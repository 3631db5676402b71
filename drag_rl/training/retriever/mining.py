"""The hard negatives of a run: rankings by BM25, by the model that is trained, or by any index of the same pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rich.progress import track
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder

from drag_rl.corpus.pages import pages_manifest
from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_path, manifest_path, read_manifest, sha256_file, write_manifest
from drag_rl.retrieval.base import Query
from drag_rl.retrieval.blocking import blocking
from drag_rl.retrieval.build import build_index
from drag_rl.retrieval.open import open_retriever
from drag_rl.training.retriever.examples import Pages, can_be_shown
from drag_rl.training.retriever.negatives import Negatives, Scored
from drag_rl.training.retriever.options import RetrieverOptions
from drag_rl.training.retriever.scoring import score_pages, some_pages
from drag_rl.training.retriever.task import Task
from drag_rl.types import Question

STAGE = "retriever-negatives"
SEARCHED_AT_A_TIME = 256
BM25 = "bm25"
MODEL = "model"
COLUMNS = ("question_id", "page_ids")

Rankings = dict[str, Sequence[Scored]]


def mined_negatives(
    questions: Sequence[Question],
    pages: Pages,
    options: RetrieverOptions,
    task: Task,
    encoder: MultiVectorEncoder,
) -> dict[str, list[str]]:
    """The hard negatives of each question by its id, from ``RUN/negatives.parquet`` if they are there already.

    So a run that goes on has the negatives with which it began. They can be looked at: the file has the columns
    ``question_id`` and ``page_ids``, its manifest counts what was left out and why. Raises ``InputError`` for an index
    that is not of these pages, and for a corpus with too few pages that may be wrong.
    """
    if not options.negatives.per_question:
        return {}
    path = task.run / "negatives.parquet"
    inputs = {
        "questions": sha256_file(task.train),
        "pages": pages_manifest(task.pages).fingerprint,
        "model": f"{task.model} {task.adapter}" if MODEL in options.negatives.sources else "",
    }
    config = {**json.loads(options.negatives.model_dump_json()), "seed": options.seed}
    if not _is_there(path, inputs, config):
        chooser = Negatives(
            pages.texts,
            per_question=options.negatives.per_question,
            max_share=options.negatives.max_share,
            seed=options.seed,
            can_be_shown=partial(can_be_shown, pages.images),
        )
        found = _rankings(questions, pages, options, task, encoder)
        chosen = {
            question.question_id: chooser.choose(question, rankings)
            for question, rankings in track(
                zip(questions, found, strict=True), "hard negatives", total=len(questions)
            )
        }
        _write(path, chosen, inputs, config, chooser.counts)
    table = pq.read_table(path)
    return dict(zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True))


def _rankings(
    questions: Sequence[Question],
    pages: Pages,
    options: RetrieverOptions,
    task: Task,
    encoder: MultiVectorEncoder,
) -> Iterator[Rankings]:
    """What each source ranks for each question."""
    by_source: dict[str, Iterator[Sequence[Scored]]] = {}
    depth = options.negatives.depth
    for source in options.negatives.sources:
        if source == MODEL:
            gold = [page_id for question in questions for page_id in question.gold_page_ids]
            chosen = some_pages(gold, [*pages.texts], options.negatives.model_pages, options.seed)
            shown = [page_id for page_id in chosen if can_be_shown(pages.images, page_id)]
            batch = options.evaluation.batch_size
            by_source[source] = ranked_by_model(encoder, questions, pages, shown, depth, batch)
        elif source == BM25:
            build_index(task.pages, task.run / BM25)
            by_source[source] = ranked_by_index(task.run / BM25, task.pages, questions, depth)
        else:
            by_source[source] = ranked_by_index(Path(source), task.pages, questions, depth)
    for row in zip(*by_source.values(), strict=True):
        yield dict(zip(by_source, row, strict=True))


def ranked_by_index(
    folder: Path, pages_dir: Path, questions: Sequence[Question], depth: int
) -> Iterator[Sequence[Scored]]:
    """The best pages of each question by an index; raises ``InputError`` for one of other pages."""
    retriever = open_retriever(folder, pages_dir)
    for begin in range(0, len(questions), SEARCHED_AT_A_TIME):
        queries = [Query(text=question.text) for question in questions[begin : begin + SEARCHED_AT_A_TIME]]
        for ranking in blocking(retriever.search(queries, depth)):
            yield [Scored(hit.page_id, hit.score) for hit in ranking.hits]


def ranked_by_model(
    encoder: MultiVectorEncoder,
    questions: Sequence[Question],
    pages: Pages,
    page_ids: Sequence[str],
    depth: int,
    batch_size: int,
) -> Iterator[Sequence[Scored]]:
    """The best of ``page_ids`` for each question by the encoder."""
    texts = [question.text for question in questions]
    scores = score_pages(encoder, texts, page_ids, pages.images.load, batch_size=batch_size)
    for row in scores:
        best = torch.topk(row, min(depth, len(page_ids)))
        places = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        yield [Scored(page_ids[column], score) for column, score in places]


def _is_there(path: Path, inputs: Mapping[str, str], config: Mapping[str, object]) -> bool:
    if not manifest_path(path).is_file():
        return False
    manifest = read_manifest(path)
    if (manifest.inputs, manifest.config) != (dict(inputs), dict(config)):
        raise InputError(f"{path}: was mined with other questions or options; give another RUN, or remove it")
    return path.is_file() and sha256_file(path) == manifest.fingerprint


def _write(
    path: Path,
    chosen: Mapping[str, Sequence[str]],
    inputs: Mapping[str, str],
    config: Mapping[str, object],
    counts: Mapping[str, int],
) -> None:
    columns = ([*chosen], [[*pages] for pages in chosen.values()])
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), temporary)
    write_manifest(
        path, stage=STAGE, fingerprint=sha256_file(path), inputs=inputs, config=config, counts=counts
    )
