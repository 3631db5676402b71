"""TREC files of an evaluation: any tool that reads them finds the numbers that we report.

``qrels.txt``, the same in BEIR's form (``qrels.tsv`` and ``queries.jsonl``) and, for each of the rankings of
:mod:`drag_rl.metrics.rankings`, ``<ranking>.run``. The rankings of single searches are as deep as the deepest gold
page, and as the deepest cutoff that is reported (20 unless one asks for more); what is deeper changes no measure. Ids
are percent-encoded where they hold white space. A query is a question, or, where there are several samples,
``<question id>/<sample>``. A run of which some episodes stayed in the document of their question says so in its tag,
``<ranking>-in-document``, and the manifest counts them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from drag_rl.episode import SearchRequest
from drag_rl.files.folders import new_files
from drag_rl.files.manifest import sha256_file, write_manifest
from drag_rl.metrics.ranked import DEPTH
from drag_rl.metrics.rankings import RANKINGS, RankingName, best_search, first_search, pooled_pages
from drag_rl.retrieval import Retriever
from drag_rl.types import Outcome, Question, Search, Trajectory, Turn

STAGE = "trec"
QRELS = "qrels.txt"
BEIR_QRELS = "qrels.tsv"
BEIR_QUERIES = "queries.jsonl"
FILES = (QRELS, BEIR_QRELS, BEIR_QUERIES, *(f"{ranking}.run" for ranking in RANKINGS))


def write_trec(
    folder: Path, trajectories: Sequence[Trajectory], retriever: Retriever, depth: int = DEPTH
) -> list[Path]:
    """Write the files of a set of trajectories, which searched ``retriever``; returns their paths.

    ``depth`` is the deepest cutoff that is reported.
    Those of an earlier call are replaced together; raises ``InputError`` if one of that name is from elsewhere.
    """
    several = any(trajectory.sample for trajectory in trajectories)
    ids = [_query_id(trajectory, several) for trajectory in trajectories]
    outcomes = [trajectory.outcome for trajectory in trajectories]
    ranked = asyncio.run(_ranked(outcomes, retriever, depth))
    in_document = sum(outcome.scope is not None for outcome in outcomes)
    suffix = "-in-document" if in_document else ""
    with new_files(folder, [STAGE], FILES, "--trec") as work:
        _write_questions(work, {id_: one.question for id_, one in zip(ids, outcomes, strict=True)})
        for ranking in RANKINGS:
            with (work / f"{ranking}.run").open("w", encoding="utf-8") as file:
                for query_id, page_ids in zip(ids, ranked[ranking], strict=True):
                    file.writelines(_run_lines(query_id, page_ids, f"{ranking}{suffix}"))
        digests = "".join(sha256_file(work / name) for name in FILES)
        write_manifest(
            work,
            stage=STAGE,
            fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
            inputs={"index": retriever.fingerprint},
            counts={"queries": len(ids), "in_document": in_document},
        )
    return [folder / name for name in FILES]


def _write_questions(folder: Path, questions: Mapping[str, Question]) -> None:
    """The queries and their judgements, in TREC's form and in BEIR's."""
    judged = [
        (query_id, encoded(page_id), grade)
        for query_id, question in questions.items()
        for page_id, grade in zip(question.gold_page_ids, question.grades, strict=True)
    ]
    lines = {
        QRELS: (f"{query_id} 0 {page_id} {grade}\n" for query_id, page_id, grade in judged),
        BEIR_QRELS: (
            "query-id\tcorpus-id\tscore\n",
            *(f"{query_id}\t{page_id}\t{grade}\n" for query_id, page_id, grade in judged),
        ),
        BEIR_QUERIES: (
            json.dumps({"_id": query_id, "text": question.text}, ensure_ascii=False) + "\n"
            for query_id, question in questions.items()
        ),
    }
    for name, text in lines.items():
        with (folder / name).open("w", encoding="utf-8") as file:
            file.writelines(text)


async def _ranked(
    outcomes: Sequence[Outcome], retriever: Retriever, depth: int
) -> dict[RankingName, list[Sequence[str]]]:
    """Each ranking's page ids, outcome by outcome."""
    return {
        ranking: [await ranked_pages(outcome, ranking, retriever, depth) for outcome in outcomes]
        for ranking in RANKINGS
    }


async def ranked_pages(
    outcome: Outcome, ranking: RankingName, retriever: Retriever, depth: int = DEPTH
) -> Sequence[str]:
    """The page ids of one of an episode's rankings, best first."""
    if ranking == "pooled":
        return pooled_pages(outcome)
    turn = first_search(outcome) if ranking == "first" else best_search(outcome)
    return await _whole(turn, outcome, retriever, depth) if turn else ()


def encoded(identifier: str) -> str:
    """An id without white space; different ids stay different.

    >>> encoded("my manual#3"), encoded("100%#1")
    ('my%20manual#3', '100%25#1')
    """
    return "".join(
        "".join(f"%{byte:02X}" for byte in sign.encode()) if sign == "%" or sign.isspace() else sign
        for sign in identifier
    )


async def _whole(turn: Turn, outcome: Outcome, retriever: Retriever, depth: int) -> list[str]:
    """What a search found, from its record, filled up from the index where only the gold pages' ranks are recorded."""
    assert isinstance(turn.action, Search)
    config, question = outcome.config, outcome.question
    gold = zip(question.gold_page_ids, turn.gold_ranks, strict=True)
    placed = {rank: page_id for page_id, rank in gold if rank is not None}
    placed |= {hit.rank: hit.page_id for hit in turn.hits}
    depth = max(depth, *placed)
    known = {*placed.values(), *question.gold_page_ids}
    listed = {hit.page_id for other in outcome.turns[: turn.step - 1] for hit in other.hits}
    request = SearchRequest.of(turn.action, question, config, listed)
    deep = depth + len(known)
    answers = await retriever.search(request.queries, max(deep, request.top_k))
    found, _ = request.rankings(answers, retriever.pages, deep)
    others = (hit.page_id for hit in found.hits if hit.page_id not in known)
    pages = (placed.get(rank) or next(others, None) for rank in range(1, depth + 1))
    return [page_id for page_id in pages if page_id is not None]


def _run_lines(query_id: str, pages: Sequence[str], tag: str) -> Iterator[str]:
    for rank, page_id in enumerate(pages, start=1):
        yield f"{query_id} Q0 {encoded(page_id)} {rank} {len(pages) - rank + 1} {tag}\n"


def _query_id(trajectory: Trajectory, several: bool) -> str:
    question_id = trajectory.outcome.question.question_id
    return encoded(f"{question_id}/{trajectory.sample}" if several else question_id)
