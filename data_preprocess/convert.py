"""A public data set as pages and questions: ``python -m data_preprocess.convert``."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.converted_pages import STAGE as PAGES_STAGE
from data_preprocess.converted_pages import PageChoice, write_dataset_pages
from data_preprocess.datasets import DATASETS, Dataset
from data_preprocess.gold_pages import GoldPages
from data_preprocess.page_base import AskedDocuments, check_page_base
from data_preprocess.question_set import FILES, STAGES, report, write_question_set
from data_preprocess.reader_options import GoldFrom, check_options, takes
from data_preprocess.selection import Selection, read_documents
from data_preprocess.written_pages import WrittenPages
from drag_rl.console import run_app
from drag_rl.corpus.copies import copies
from drag_rl.corpus.document_bar import document_bar
from drag_rl.corpus.pages import PAGES_FILE, PageText, stream_pages
from drag_rl.corpus.pdf_pages import OcrMode, ReadOptions
from drag_rl.corpus.reading_options import RAY, WORKERS, reading_of
from drag_rl.corpus.tesseract import read_options
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files
from drag_rl.files.manifest import Manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.question_ids import QuestionIds
from drag_rl.splits import document_of
from drag_rl.types import Page, Question

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

QUESTIONS_STAGE = "converted_questions"


def convert_dataset(
    name: str,
    source: Path,
    out_pages: Path,
    out_dir: Path,
    selection: Selection | None = None,
    *,
    options: ReadOptions | None = None,
    reading: Mapping[str, Any] | None = None,
    reader_options: Mapping[str, object] | None = None,
) -> Manifest:
    """Read a data set of the table and write its pages and questions; returns the manifest of the questions, or of the
    pages where there are to be no questions.

    ``selection`` says which questions are wanted (None: all, in the data set's own splits). ``options`` are those of
    ``drag ingest``, for pages that are images or of PDFs, and ``reading`` says how these are read and who is told, as
    ``ingest_documents`` takes it (texts too are read on a cluster if these are); without ``options`` no text is
    recognised.
    ``reader_options`` are for the data set's reader; those that are None are left to it. Pages are never all in
    memory, questions are.

    Raises ``InputError`` for an unknown name, for a source that its reader refuses, and for a gold page that is not
    among the pages.
    """
    started = time.monotonic()
    selection, reading = selection or Selection(), reading or {}
    dataset = _opened(name, source, out_pages, out_dir, reading, reader_options or {})
    facts = {"dataset": name, **dataset.facts}
    twice = DroppedRows(problems=dataset.problems)
    questions, left_out = selection.choose(dataset.questions, dataset.languages)
    gold = GoldPages(name, questions)
    written = write_dataset_pages(
        dataset,
        out_pages,
        PageChoice(selection=selection, gold=gold),
        facts,
        options or ReadOptions(ocr="off"),
        reading,
        twice,
    )
    if dataset.pages_alone:
        return written
    pages = WrittenPages(out_pages)
    if dataset.pdfs is None and selection.documents:
        selection.check({doc_id for (doc_id,) in pages.columns("doc_id")})
    if dataset.ask:
        questions, left_out = selection.choose(dataset.ask(pages), dataset.languages)
        gold = GoldPages(name, questions)
    gold.look_in(pages)
    questions, lost = gold.readable()
    asked = [question for own in questions.values() for question in own]
    base, groups = _looked_through(out_pages, asked, numbered=dataset.numbered, divides=selection.divides)
    if dataset.numbered:
        facts |= check_page_base(name, base).facts()
    divided: Counter[str] = Counter()
    if selection.divides:
        questions, divided = selection.divide(questions, groups)
    return write_question_set(
        out_dir,
        questions,
        stage=QUESTIONS_STAGE,
        inputs={"pages": written.fingerprint},
        config=facts | selection.settings(),
        dropped=_sum([dataset.dropped, twice.counts, left_out, lost, divided]),
        problems=dataset.problems,
        seconds=time.monotonic() - started,
    )


def _opened(
    name: str,
    source: Path,
    out_pages: Path,
    out_dir: Path,
    reading: Mapping[str, Any],
    reader_options: Mapping[str, object],
) -> Dataset:
    """The data set, once it is known that it can be read as is asked for, and that its pages and questions can be
    written."""
    if not DATASETS:
        raise InputError(
            f"NAME {name}: no data set can be converted: none is in the table data_preprocess/datasets.py, and no "
            "installed package adds one (entry point group drag_rl.datasets)"
        )
    read = DATASETS.find(name, "NAME")
    told = check_options(name, read, reader_options)
    if takes(read, "workers"):
        told["workers"] = None if "read" in reading else reading.get("workers", 1)
    refuse_overlap({"--out-pages": out_pages, "--out": out_dir}, {"--source": source})
    claim_files(out_pages, [PAGES_STAGE], [PAGES_FILE], "--out-pages")
    claim_files(out_dir, STAGES, FILES)
    return read(source, **told)


def _looked_through(
    out_pages: Path, asked: Sequence[Question], *, numbered: bool, divides: bool
) -> tuple[AskedDocuments, list[set[str]]]:
    """What the texts of the pages tell, in one reading of them, if there is anything to be told: the words of the
    documents whose page numbers are to be checked, and which documents are copies where they are to be divided."""
    base = AskedDocuments(asked if numbered else ())
    if not (numbered or divides):
        return base, []
    if not divides:
        deque(base.watch(stream_pages(out_pages, PageText)), maxlen=0)
        return base, []
    documents = {document_of(question) for question in asked}
    pages = base.watch(stream_pages(out_pages, Page))
    return base, copies(page for page in pages if page.doc_id in documents)


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


@app.command()
def convert(
    name: Annotated[
        str,
        typer.Argument(help=f"The data set's name. Known data sets: {', '.join(DATASETS) or 'none yet'}."),
    ],
    source: Annotated[Path, typer.Option(help="The file or folder where you downloaded the data set.")],
    out: Annotated[Path, typer.Option(help="Folder for questions.{train,val,test}.parquet.")],
    out_pages: Annotated[
        Path | None, typer.Option(help="Folder for the data set's pages.", show_default="OUT/pages")
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(help="Keep the questions in this language, as the data set calls it; repeatable."),
    ] = None,
    documents: Annotated[
        Path | None,
        typer.Option(
            help="File that names the documents that are wanted, one a line.", show_default="all of them"
        ),
    ] = None,
    include_json: Annotated[
        list[Path] | None,
        typer.Option(
            help="Only the questions that this file names by their ids, as for drag evaluate; repeatable."
        ),
    ] = None,
    exclude_json: Annotated[
        list[Path] | None, typer.Option(help="Without the questions that such a file names; repeatable.")
    ] = None,
    max_samples: Annotated[
        int, typer.Option(min=0, help="Keep so many questions, drawn by the seed; 0: all.")
    ] = 0,
    val: Annotated[
        float | None,
        typer.Option(
            help="Share of questions for val, 0 to 1, whole documents.", show_default="the data set's splits"
        ),
    ] = None,
    test: Annotated[
        float | None, typer.Option(help="Share for test.", show_default="the data set's splits")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw and of the split.")] = 0,
    gold: Annotated[
        GoldFrom | None,
        typer.Option(
            help="flashrag, search-r1: gold pages hold an answer, or supporting facts alone; none: pages and no "
            "questions.",
            show_default="answers",
        ),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="deepretrieval: a dump of the documents, JSON lines.", show_default="SOURCE/corpus.jsonl"
        ),
    ] = None,
    ocr: Annotated[
        OcrMode,
        typer.Option(
            help="Recognise the text of page images where the data set has none (auto), nowhere, everywhere."
        ),
    ] = "auto",
    ocr_language: Annotated[str, typer.Option(help="Tesseract's languages, such as eng or eng+deu.")] = "eng",
    workers: WORKERS = None,
    ray: RAY = False,
) -> None:
    """Convert a public data set into pages and questions; it keeps its own splits unless shares are given."""
    selection = Selection(
        languages=tuple(language or ()),
        documents=read_documents(documents) if documents else frozenset(),
        named=QuestionIds(include=tuple(include_json or ()), exclude=tuple(exclude_json or ())),
        max_samples=max_samples,
        val=val,
        test=test,
        seed=seed,
    )
    options = read_options(ocr, ocr_language)
    with document_bar() as watch:
        run: dict[str, Any] = {
            "options": options,
            "reading": {**reading_of(workers, ray), **watch},
            "reader_options": {"gold": gold, "corpus": corpus},
        }
        manifest = convert_dataset(name, source, out_pages or out / "pages", out, selection, **run)
    if manifest.stage == PAGES_STAGE:
        Console().print(
            f"{manifest.counts['pages']} pages in {out_pages or out / 'pages'}, and no questions."
        )
    else:
        report(Console(), out, manifest)


if __name__ == "__main__":
    run_app(app, "data_preprocess.convert")
