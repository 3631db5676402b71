"""Questions from the documents themselves: ``python -m data_preprocess.build``.

Printed questions (``faq``), titles (``outline``) and index terms (``index``) become questions whose gold
pages are known from the PDF's own bookmarks and links. Sentences (``sentence``), if asked for, are questions whose gold
page is the one that they were taken from. What a question was made from is removed, so that it cannot be found by its
own words: headings and sentences from page texts and images, contents and index pages from the pool. The result is a
PAGES_DIR to index, and a QUESTIONS_DIR.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from data_preprocess.bounded_reading import read_bounded
from data_preprocess.document_questions import DocumentQuestions, SentenceOptions
from data_preprocess.kinds import Kind
from data_preprocess.printed import key_of
from data_preprocess.question_set import FILES, STAGES, report, write_question_set
from drag_rl.console import run_app
from drag_rl.corpus.copies import copies
from drag_rl.corpus.pages import DEFAULT_DPI, PAGES_FILE, load_pages, pdf_dir_of, write_pages
from drag_rl.corpus.pool import POOL_FILE, PoolDecision, write_pool
from drag_rl.corpus.redactions import REDACTIONS_FILE, write_redactions
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files
from drag_rl.files.manifest import Manifest, Problem, read_manifest, sha256_file
from drag_rl.files.outputs import refuse_overlap
from drag_rl.splits import Split, document_of, draw, split_documents, split_questions
from drag_rl.types import Page, Question

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

POOL_STAGE = "pool"
POOL_FILES = (PAGES_FILE, POOL_FILE, REDACTIONS_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Options of a question set."""

    test_docs: tuple[str, ...] = ()
    """Documents for test; empty: every list of questions, else about a tenth of all questions."""
    val_docs: tuple[str, ...] = ()
    """Documents for val; empty: about a tenth of all questions."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of question to ask; empty: all. The pages are the same whichever are asked."""
    index_terms: int = 100
    """Index terms of a document, at most; 0 means no limit."""
    sentences: SentenceOptions = field(default_factory=SentenceOptions)
    seed: int = 0
    """Seed of the choice of sentences, of the split and of the order."""


def build_questions(pages_dir: Path, out_pages: Path, out_dir: Path, options: BuildOptions) -> Manifest:
    """Make the pool and the questions; returns the manifest of the questions.

    Raises ``InputError`` for bad pages or PDFs, an unknown document, or if there is no question.
    """
    started = time.monotonic()
    if Kind.SENTENCE in options.kinds and not options.sentences.limit:
        raise InputError("--kind sentence: give --sentences too, the number of sentences of each document")
    refuse_overlap({"--out-pages": out_pages, "--out": out_dir}, {"--pages": pages_dir})
    claim_files(out_pages, [POOL_STAGE], POOL_FILES, "--out-pages")
    claim_files(out_dir, STAGES, FILES)
    source = read_manifest(pages_dir)
    pages = load_pages(pages_dir)
    readings, problems = read_documents(pages_dir, pages, options.sentences, options.seed)
    for doc_id in (*options.test_docs, *options.val_docs):
        if doc_id not in readings:
            raise InputError(
                f"document {doc_id!r} is not one of the readable documents: {', '.join(readings)}"
            )
    pool = _write_pool_pages(out_pages, pages, readings, pages_dir, source)
    questions, dropped = select_questions(readings, options)
    documents = _documents(questions, options, pages)
    splits, near = split_questions(questions, documents, options.seed)
    return write_question_set(
        out_dir,
        splits,
        stage="questions",
        inputs={"pages": source.fingerprint, "pool": pool.fingerprint},
        config={
            "test_docs": list(options.test_docs),
            "val_docs": list(options.val_docs),
            "kinds": list(options.kinds or Kind),
            "index_terms": options.index_terms,
            "sentences": options.sentences.limit,
            "language": options.sentences.language,
            "seed": options.seed,
            "documents": documents,
        },
        dropped=dropped + near,
        problems=problems,
        seconds=time.monotonic() - started,
    )


def read_documents(
    pages_dir: Path, pages: Sequence[Page], sentences: SentenceOptions, seed: int
) -> tuple[dict[str, DocumentQuestions], list[Problem]]:
    """The questions of each readable document, and the problems with the others.

    Raises ``InputError`` for a PDF that is gone or has changed.
    """
    pdf_dir = pdf_dir_of(pages_dir)
    if pdf_dir is None:
        raise InputError(f"{pages_dir} was not made from PDFs, so it has no bookmarks to make questions of")
    readings: dict[str, DocumentQuestions] = {}
    problems: list[Problem] = []
    for doc_id, group in groupby(pages, key=lambda page: page.doc_id):
        own = list(group)
        if all(page.status == "failed" for page in own):
            continue
        path = pdf_dir / own[0].source_file
        try:
            if sha256_file(path) != own[0].source_sha256:
                raise InputError(f"{path} has changed since {pages_dir} was made; run drag ingest again")
        except OSError as error:
            raise InputError(f"{path}: {error}; put the PDF back or run drag ingest again") from error
        reading, found = read_bounded(path, own, sentences, seed)
        problems += found
        if reading is not None:
            readings[doc_id] = reading
    return readings, problems


def select_questions(
    readings: Mapping[str, DocumentQuestions], options: BuildOptions
) -> tuple[list[Question], Counter[str]]:
    """The questions worth asking over the whole pool, and what was dropped by reason.

    A title or term of several documents is dropped, as it has no single answer; a term that is also a title is asked
    once.
    """
    dropped = sum((reading.dropped for reading in readings.values()), Counter[str]())
    found = [question for reading in readings.values() for question in reading.questions]
    kinds = options.kinds or tuple(Kind)
    everything = [question for question in found if question.data_source in kinds]
    dropped.update(
        f"{question.data_source}_not_asked" for question in found if question.data_source not in kinds
    )
    documents_of: dict[str, set[str]] = {}
    for question in everything:
        documents_of.setdefault(key_of(question.text), set()).add(document_of(question))
    seen: set[str] = set()
    per_document: Counter[str] = Counter()
    kept = []
    for question in sorted(everything, key=lambda question: _preference(question, options.seed)):
        key, kind = key_of(question.text), question.data_source
        if kind != Kind.FAQ and len(documents_of[key]) > 1:
            dropped[f"{kind}_in_several_documents"] += 1
        elif key in seen:
            dropped[f"{kind}_duplicate"] += 1
        elif kind == Kind.INDEX and 0 < options.index_terms <= per_document[document_of(question)]:
            dropped["index_over_limit"] += 1
        else:
            seen.add(key)
            per_document[document_of(question)] += kind == Kind.INDEX
            kept.append(question)
    return sorted(kept, key=lambda question: question.question_id), dropped


def _preference(question: Question, seed: int) -> tuple[int, str]:
    return list(Kind).index(Kind(question.data_source)), draw(seed, question.question_id)


def _documents(
    questions: Sequence[Question], options: BuildOptions, pages: Sequence[Page]
) -> dict[str, Split]:
    counts = Counter(document_of(question) for question in questions)
    faqs = sorted({document_of(question) for question in questions if question.data_source == Kind.FAQ})
    fixed: dict[str, Split] = dict.fromkeys(options.test_docs or faqs, "test")
    fixed |= dict.fromkeys(options.val_docs, "val")
    shares: dict[Split, float] = {"val": 0.1, "test": 0.1}
    return split_documents(dict(sorted(counts.items())), shares, options.seed, fixed, copies(pages))


def _write_pool_pages(
    out_pages: Path,
    pages: Sequence[Page],
    readings: Mapping[str, DocumentQuestions],
    pages_dir: Path,
    source: Manifest,
) -> Manifest:
    """Write the pages without the headings and sentences that are asked, and which of them may be found."""
    decisions, redactions, new_pages = [], {}, []
    for page in pages:
        reading = readings.get(page.doc_id)
        reason = "failed" if page.status == "failed" or reading is None else ""
        if reading is not None:
            reason = reason or reading.listings.get(page.page_number, "")
            redactions[page.page_id] = reading.redactions.get(page.page_number, [])
            page = replace(page, text=reading.texts.get(page.page_number, page.text))
        decisions.append(PoolDecision(page_id=page.page_id, in_pool=not reason, reason=reason))
        new_pages.append(page)

    def write_more(folder: Path) -> None:
        write_pool(folder, decisions)
        write_redactions(folder, redactions)

    left_out = Counter(decision.reason for decision in decisions if not decision.in_pool)
    return write_pages(
        out_pages,
        new_pages,
        stage=POOL_STAGE,
        names=POOL_FILES,
        write_more=write_more,
        option="--out-pages",
        pdf_dir=pdf_dir_of(pages_dir),
        dpi=int(source.config.get("dpi", DEFAULT_DPI)),
        inputs={"pages": source.fingerprint},
        counts={"pages_redacted": sum(bool(boxes) for boxes in redactions.values())}
        | {f"pages_left_out_{reason}": count for reason, count in sorted(left_out.items())},
    )


@app.command()
def build(
    pages: Annotated[Path, typer.Option(help="Pages made by `drag ingest --pdf-dir`.")],
    out_pages: Annotated[Path, typer.Option(help="Folder for the pages without the questions' headings.")],
    out: Annotated[Path, typer.Option(help="Folder for questions.{train,val,test}.parquet.")],
    test_doc: Annotated[
        list[str] | None,
        typer.Option(help="A document for test, repeatable; default: those that are lists of questions."),
    ] = None,
    val_doc: Annotated[
        list[str] | None, typer.Option(help="A document for val, repeatable; default: drawn by the seed.")
    ] = None,
    kind: Annotated[
        list[Kind] | None, typer.Option(help="A kind of question to ask, repeatable; default: all.")
    ] = None,
    index_terms: Annotated[
        int, typer.Option(min=0, help="Index terms of each document, at most; 0 for all.")
    ] = BuildOptions().index_terms,
    sentences: Annotated[
        int, typer.Option(min=0, help="Sentences of each document as questions, at most, one of a page.")
    ] = SentenceOptions().limit,
    language: Annotated[
        str, typer.Option(help="ISO 639-1 code of the sentences' language.")
    ] = SentenceOptions().language,
    seed: Annotated[
        int, typer.Option(help="Seed of the choice of sentences, of the split and of the order.")
    ] = 0,
) -> None:
    """Make questions from bookmarks, printed questions, indexes and sentences of PDFs."""
    options = BuildOptions(
        test_docs=tuple(test_doc or ()),
        val_docs=tuple(val_doc or ()),
        kinds=tuple(one for one in Kind if one in (kind or ())),
        index_terms=index_terms,
        sentences=SentenceOptions(limit=sentences, language=language),
        seed=seed,
    )
    console = Console()
    with console.status(f"Reading the documents of {pages} ..."):
        manifest = build_questions(pages, out_pages, out, options)
    report(console, out, manifest)


if __name__ == "__main__":
    run_app(app, "data_preprocess.build")
