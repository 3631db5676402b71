"""A public data set as pages and questions: ``python -m data_preprocess.convert``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from data_preprocess.datasets import DATASETS
from data_preprocess.question_set import FILES, STAGES, report, write_question_set
from drag_rl.console import run_app
from drag_rl.corpus.pages import PAGES_FILE, write_pages
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files
from drag_rl.files.manifest import Manifest
from drag_rl.files.outputs import refuse_overlap

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

PAGES_STAGE = "convert"
QUESTIONS_STAGE = "converted_questions"


def convert_dataset(name: str, source: Path, out_pages: Path, out_dir: Path) -> Manifest:
    """Read a data set of the table and write its pages and questions; returns the manifest of the questions.

    Raises ``InputError`` for an unknown name, for a source that its reader refuses, and for a gold page that is not
    among the pages or cannot be read.
    """
    started = time.monotonic()
    if not DATASETS:
        raise InputError(
            f"NAME {name}: no data set can be converted: none is in the table data_preprocess/datasets.py, and no "
            "installed package adds one (entry point group drag_rl.datasets)"
        )
    read = DATASETS.find(name, "NAME")
    refuse_overlap({"--out-pages": out_pages, "--out": out_dir}, {"--source": source})
    claim_files(out_pages, [PAGES_STAGE], [PAGES_FILE], "--out-pages")
    claim_files(out_dir, STAGES, FILES)
    dataset = read(source)
    pages = list(dataset.pages)
    readable = {page.page_id for page in pages if page.status == "ok"}
    for split, questions in dataset.questions.items():
        for question in questions:
            if lost := [page_id for page_id in question.gold_page_ids if page_id not in readable]:
                raise InputError(
                    f"data set {name}: gold page {lost[0]!r} of {split} question {question.question_id!r} is not "
                    "among its readable pages"
                )
    written = write_pages(
        out_pages,
        pages,
        stage=PAGES_STAGE,
        pdf_dir=None,
        config={"dataset": name},
        option="--out-pages",
        seconds=time.monotonic() - started,
    )
    return write_question_set(
        out_dir,
        dataset.questions,
        stage=QUESTIONS_STAGE,
        inputs={"pages": written.fingerprint},
        config={"dataset": name},
        dropped=dataset.dropped,
        seconds=time.monotonic() - started,
    )


@app.command()
def convert(
    name: Annotated[
        str,
        typer.Argument(help=f"The data set's name. Known data sets: {', '.join(DATASETS) or 'none yet'}."),
    ],
    source: Annotated[Path, typer.Option(help="The file or folder where you downloaded the data set.")],
    out_pages: Annotated[Path, typer.Option(help="Folder for the data set's pages.")],
    out: Annotated[Path, typer.Option(help="Folder for questions.{train,val,test}.parquet.")],
) -> None:
    """Convert a public data set into pages and questions; it keeps its own splits."""
    report(Console(), out, convert_dataset(name, source, out_pages, out))


if __name__ == "__main__":
    run_app(app, "data_preprocess.convert")
