"""Write the pages of a converted data set, texts or images, into a folder of pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.cluster_texts import read_on_cluster
from data_preprocess.corpus_lines import LineCorpus
from data_preprocess.datasets import Dataset, ImagePage, TextPage
from data_preprocess.gold_pages import GoldPages
from data_preprocess.pdf_files import PdfFiles
from data_preprocess.selection import Selection
from data_preprocess.sorted_pages import merged_pages, sorted_pages
from drag_rl.corpus.image_pages import DPI
from drag_rl.corpus.image_sources import PageFile, image_source
from drag_rl.corpus.image_store import ImageStore
from drag_rl.corpus.ingest import Documents, ingest_documents
from drag_rl.corpus.pages import write_pages
from drag_rl.corpus.pdf_pages import ReadOptions
from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest, Problem
from drag_rl.types import Page

STAGE = "convert"
IMAGES = "page_images"
"""Where the images lie in the folder of pages."""
UNPACKED = "documents"
"""Where the PDFs of archives lie in the folder of pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageChoice:
    """Which pages of a data set are wanted."""

    selection: Selection
    """The documents, and whether questions are drawn."""
    gold: GoldPages
    """Those of the chosen questions, where these are known before the pages are written."""

    def images_of(self, dataset: Dataset) -> Iterator[ImagePage]:
        """The wanted images: where questions are drawn, and pages are there for them only, those of these questions."""
        drawn = dataset.pages_of_questions and bool(self.selection.max_samples)
        for image in dataset.images or ():
            if self.selection.wants(image.doc_id) and not (drawn and image.page_id not in self.gold.wanted):
                yield image


def write_dataset_pages(
    dataset: Dataset,
    out_pages: Path,
    choice: PageChoice,
    facts: Mapping[str, object],
    options: ReadOptions,
    reading: Mapping[str, Any],
    twice: DroppedRows,
) -> Manifest:
    """Write the wanted pages, of whatever kind they are; ``twice`` is told of documents that are there twice.

    Raises ``InputError`` for a wanted document that PDFs lack, for what cannot be read on a cluster, and for a gold
    page that is none of a collection's texts.
    """
    wants = choice.selection.wants
    if dataset.pdfs is not None:
        choice.selection.check(dataset.pdfs)
        return write_pdf_pages(out_pages, dataset.pdfs, wants, facts, options, reading)
    if dataset.images is not None:
        return write_image_pages(out_pages, choice.images_of(dataset), facts, options, reading)
    started = time.monotonic()
    on_cluster = "read" in reading
    if on_cluster and not isinstance(dataset.texts, LineCorpus):
        raise InputError(
            f"--ray: {facts['dataset']} has no images, no PDFs, and no texts of a line each; leave it out"
        )
    pages = dataset.pages
    if dataset.texts is not None:
        pages = pages_of_texts(dataset.texts, out_pages, twice, on_cluster=on_cluster)
    pages = choice.gold.watch(page for page in pages if wants(page.doc_id))
    problems = dataset.problems if dataset.pages_alone else ()
    return write_text_pages(out_pages, pages, facts, time.monotonic() - started, problems)


def pages_of_texts(
    texts: Iterable[TextPage], out_pages: Path, rows: DroppedRows, *, on_cluster: bool = False
) -> Iterator[Page]:
    """Texts as pages, sorted in bounded memory; a second one of an id is dropped.

    ``on_cluster`` reads a ``LineCorpus`` on a Ray cluster.
    """

    def is_twice(kept: TextPage, other: TextPage) -> None:
        why = f"page {other.page_id!r} is there twice; the one of {kept.where} is kept"
        rows.drop("documents_there_twice", other.where, why)

    if on_cluster and isinstance(texts, LineCorpus):
        with read_on_cluster(texts, out_pages) as runs:
            yield from map(_page_of, merged_pages(runs, out_pages, is_twice))
    else:
        yield from map(_page_of, sorted_pages(texts, out_pages, is_twice))


def _page_of(text: TextPage) -> Page:
    return Page(
        page_id=text.page_id,
        doc_id=text.doc_id,
        page_number=text.page_number,
        label="",
        text=text.text,
        width_pt=0.0,
        height_pt=0.0,
        source_file="",
        source_sha256="",
        text_source="ocr" if text.text else "none",
        status="ok",
        reason="" if text.text else "the collection has no text for it",
    )


def write_text_pages(
    out_pages: Path,
    pages: Iterable[Page],
    facts: Mapping[str, object],
    seconds: float,
    problems: Sequence[Problem] = (),
) -> Manifest:
    """Write pages of text alone; ``facts`` are what the manifest is to say of the data set, and ``problems`` what it
    lists where no questions have a manifest that does."""
    return write_pages(
        out_pages,
        pages,
        stage=STAGE,
        pdf_dir=None,
        config=facts,
        option="--out-pages",
        seconds=seconds,
        problems=problems,
    )


def write_image_pages(
    out_pages: Path,
    images: Iterable[ImagePage],
    facts: Mapping[str, object],
    options: ReadOptions,
    reading: Mapping[str, Any],
) -> Manifest:
    """Keep the images beside the pages, one at a time, and read them as ``drag ingest --image-dir`` does.

    ``reading`` says how they are read and who is told, as ``ingest_documents`` takes it. A killed run goes on where it
    was. Raises ``InputError`` for a page that is there twice, or if there is none.
    """
    store = ImageStore(out_pages / IMAGES)
    documents: dict[str, dict[int, PageFile]] = {}
    for image in images:
        pages = documents.setdefault(image.doc_id, {})
        if image.page_number in pages:
            raise InputError(
                f"page {image.page_id} is there twice; the data set's reader must number its pages"
            )
        if image.problem:
            pages[image.page_number] = PageFile(
                file="", sha256="", number=image.page_number, problem=image.problem
            )
        else:
            pages[image.page_number] = store.add(image.image, image.text, image.page_number)
    store.keep_only(page for pages in documents.values() for page in pages.values())
    sources = [
        image_source(doc_id, doc_id, [pages[number] for number in sorted(pages)])
        for doc_id, pages in sorted(documents.items())
    ]
    return ingest_documents(
        Documents(kind="image_dir", folder=store.folder, sources=sources, dpi=DPI),
        out_pages,
        options,
        stage=STAGE,
        config=facts,
        option="--out-pages",
        **reading,
    ).manifest


def write_pdf_pages(
    out_pages: Path,
    pdfs: PdfFiles,
    wants: Callable[[str], bool],
    facts: Mapping[str, object],
    options: ReadOptions,
    reading: Mapping[str, Any],
) -> Manifest:
    """Read the wanted documents of PDFs as ``drag ingest --pdf-dir`` does; see :func:`write_image_pages`."""
    return ingest_documents(
        pdfs.documents(wants, out_pages / UNPACKED),
        out_pages,
        options,
        stage=STAGE,
        config=facts,
        option="--out-pages",
        **reading,
    ).manifest
