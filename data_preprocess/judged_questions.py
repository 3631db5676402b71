"""Judged queries as training files: ``drag data qrels`` reads those of TREC and BEIR.

The pages are there already; a judged document is a page by its id, or the one page of the document of that name. Grades
are kept: nDCG pays for them. Queries stay in the split that their judgements are of.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from data_preprocess.judged_pages import JudgedPages, judged_questions
from data_preprocess.question_set import FILES, STAGES, report, write_question_set
from data_preprocess.topics import read_topics
from drag_rl.console import run_app
from drag_rl.corpus.pages import stream_pages
from drag_rl.corpus.pool import pool_fingerprint, read_left_out
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files
from drag_rl.files.manifest import Manifest, read_manifest, sha256_file
from drag_rl.files.outputs import refuse_overlap
from drag_rl.splits import Split
from drag_rl.types import Page, Question

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

STAGE = "judged_questions"
SPLIT_OF: Mapping[str, Split] = {"train": "train", "dev": "val", "val": "val", "test": "test"}
"""What collections call a split -> ours."""


def import_judged(
    queries: Sequence[Path],
    qrels: Sequence[tuple[Split, Path]],
    pages_dir: Path,
    out_dir: Path,
    *,
    data_source: str,
    drop_unknown: bool = False,
) -> Manifest:
    """Join queries and judgements over a folder of pages and write the question set. Raises ``InputError``."""
    started = time.monotonic()
    files = [path for _, path in qrels]
    refuse_overlap({"--out": out_dir}, {"--queries": queries, "--qrels": files, "--pages": pages_dir})
    claim_files(out_dir, STAGES, FILES)
    twice = next((split for split, count in Counter(split for split, _ in qrels).items() if count > 1), None)
    if twice:
        raise InputError(f"--qrels: a second file for {twice}; put the judgements of a split in one")
    topics: dict[str, str] = {}
    for path in queries:
        topics |= read_topics(path)
    pages = JudgedPages(stream_pages(pages_dir, Page), read_left_out(pages_dir))
    splits: dict[Split, list[Question]] = {}
    dropped: Counter[str] = Counter()
    for split, path in qrels:
        if split in splits:
            raise InputError(
                f"--qrels {path}: a second file for {split}; put the judgements of a split in one"
            )
        splits[split], lost = judged_questions(
            topics, path, pages, data_source=data_source, drop_unknown=drop_unknown
        )
        dropped += lost
    return write_question_set(
        out_dir,
        splits,
        stage=STAGE,
        inputs={
            **{str(path): sha256_file(path) for path in (*queries, *files)},
            "pages": read_manifest(pages_dir).fingerprint,
            "pool": pool_fingerprint(pages_dir),
        },
        config={"data_source": data_source, "drop_unknown": drop_unknown},
        dropped=dropped,
        seconds=time.monotonic() - started,
    )


def beir_files(folder: Path) -> tuple[list[Path], list[tuple[Split, Path]]]:
    """The queries and the judgements of a BEIR folder. Raises ``InputError`` where it has none."""
    found = [(split, folder / "qrels" / f"{name}.tsv") for name, split in SPLIT_OF.items()]
    qrels = [(split, path) for split, path in found if path.is_file()]
    if not qrels or not (folder / "queries.jsonl").is_file():
        raise InputError(
            f"--source {folder}: is not a folder of BEIR with queries.jsonl and qrels/train.tsv, dev.tsv or test.tsv"
        )
    return [folder / "queries.jsonl"], qrels


def split_file(setting: str) -> tuple[Split, Path]:
    """The split and the file of ``SPLIT=FILE``; a file alone is for test.

    >>> split_file("dev=my.qrels")[0], split_file("qrels=1.txt")
    ('val', ('test', PosixPath('qrels=1.txt')))
    """
    name, equals, file = setting.partition("=")
    return (SPLIT_OF[name], Path(file)) if equals and name in SPLIT_OF else ("test", Path(setting))


@app.command("qrels")
def qrels_command(
    pages: Annotated[Path, typer.Option(help="Pages; each relevant document must be one of them.")],
    out: Annotated[Path, typer.Option(help="Folder for questions.{train,val,test}.parquet.")],
    source: Annotated[
        Path | None,
        typer.Option(help="A folder of BEIR; or give --queries and --qrels."),
    ] = None,
    queries: Annotated[
        list[Path] | None,
        typer.Option(
            help="Queries: BEIR's .jsonl, lines of id and text, or TREC topics; repeat it for more."
        ),
    ] = None,
    qrels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SPLIT=]FILE",
            help="Judgements of TREC or BEIR for train, val or test; test if none is named. Repeat it for more.",
        ),
    ] = None,
    data_source: Annotated[
        str | None,
        typer.Option(
            help="What the questions are called in metrics and rewards; else the first file's folder."
        ),
    ] = None,
    drop_unknown: Annotated[
        bool, typer.Option("--drop-unknown", help="Leave out judgements of documents that are not there.")
    ] = False,
) -> None:
    """Turn judged queries of TREC or BEIR into questions with graded gold pages."""
    given = (source is not None, bool(queries), bool(qrels))
    if given not in {(True, False, False), (False, True, True)}:
        raise InputError("give either --source, or --queries and --qrels")
    if source is not None:
        topics, judgements = beir_files(source)
    else:
        topics, judgements = queries or [], [split_file(setting) for setting in qrels or ()]
    name = data_source or (source or topics[0].parent).resolve().name or "judged"
    manifest = import_judged(topics, judgements, pages, out, data_source=name, drop_unknown=drop_unknown)
    report(Console(), out, manifest)


if __name__ == "__main__":
    run_app(app, "data_preprocess.judged_questions")
