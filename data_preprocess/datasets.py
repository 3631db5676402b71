"""Public data sets that ``drag data convert`` can read: a table of readers, one module for each data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from data_preprocess.pdf_files import PdfFiles
from data_preprocess.written_pages import WrittenPages
from drag_rl.files.manifest import Problem
from drag_rl.splits import Split
from drag_rl.tables import Table
from drag_rl.types import Page, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePage:
    """A page that is an image."""

    doc_id: str
    page_number: int
    """1-based; it need not follow on another."""
    image: bytes
    """The encoded image: PNG, JPEG, TIFF ...; whether it can be read is found out later."""
    text: str = ""
    """Its text, where the data set has one; else it is recognised, or there is none."""
    problem: str = ""
    """Why there is no image; empty if there is one."""

    @property
    def page_id(self) -> str:
        """The id of the page that it becomes."""
        return f"{self.doc_id}#{self.page_number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPage:
    """A page that is text."""

    doc_id: str
    text: str
    """Clean (``drag_rl.corpus.clean_text``); it may be empty."""
    where: str
    """File and row, for what is wrong with it."""
    page_number: int = 1

    @property
    def page_id(self) -> str:
        """The id of the page that it becomes."""
        return f"{self.doc_id}#{self.page_number}"


Questions = Mapping[Split, Sequence[Question]]
"""The questions of each split that a data set has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a reader makes of the files of a data set. Just one of ``pages``, ``texts``, ``images`` and ``pdfs`` is the
    corpus."""

    pages: Iterable[Page] = ()
    """Every page of the corpus, sorted by ``(doc_id, page_number)``."""
    texts: Iterable[TextPage] | None = None
    """Every page of a corpus of texts, in any order; read once, one after the other, and sorted in bounded memory. Of
    two of one id the first is taken, and the other listed."""
    images: Iterable[ImagePage] | None = None
    """Every page of a corpus of images, in any order, each once; read once, one after the other."""
    pdfs: PdfFiles | None = None
    """The documents of a corpus of PDFs, whose pages are read as ``drag ingest`` does; how many they have is known
    when they are written, so questions are made by ``ask``."""
    questions: Questions = field(default_factory=dict)
    """Its questions, where they are known without looking into the pages."""
    ask: Callable[[WrittenPages], Questions] | None = None
    """Makes the questions instead, once the pages of ``texts`` or ``pdfs`` are written; it may add to ``dropped`` and
    ``problems``."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """What of the data set is in no question: reason -> how often."""
    problems: list[Problem] = field(default_factory=list)
    """A line for each row that is wrong, with its file; reading ``images`` may add to them."""
    languages: Mapping[str, str] = field(default_factory=dict)
    """Question id -> language, where the data set tells; so that one can be chosen."""
    pages_alone: bool = False
    """Whether its pages are wanted without any questions."""
    pages_of_questions: bool = False
    """Whether a page is there for its questions only: then a selection of questions is one of pages, too."""
    numbered: bool = False
    """Whether gold pages are named by page numbers, whose base is to be checked against the text of the pages."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the manifests are to say of the data set: ``licence``, ``citation`` ..."""


Reader = Callable[..., Dataset]
"""Reads a data set from the file or folder where the user downloaded it; raises ``InputError`` for what is wrong.

It is given the path. Its keyword arguments are options that the user may set, and must have defaults: see
``data_preprocess.reader_options``."""

DATASETS: Table[Reader] = Table(
    "data set",
    {
        "beir": "data_preprocess.beir:read_beir",
        "deepretrieval": "data_preprocess.deepretrieval:read_deepretrieval",
        "docvqa": "data_preprocess.docvqa:read_docvqa",
        "flashrag": "data_preprocess.flashrag:read_flashrag",
        "infographicvqa": "data_preprocess.infographicvqa:read_infographicvqa",
        "madqa": "data_preprocess.madqa:read_madqa",
        "mmdocir": "data_preprocess.mmdocir:read_mmdocir",
        "mmlongbench-doc": "data_preprocess.mmlongbench_doc:read_mmlongbench_doc",
        "mp-docvqa": "data_preprocess.mp_docvqa:read_mp_docvqa",
        "msmarco": "data_preprocess.msmarco:read_msmarco",
        "search-r1": "data_preprocess.flashrag:read_flashrag",
        "slidevqa": "data_preprocess.slidevqa:read_slidevqa",
        "tat-dqa": "data_preprocess.tat_dqa:read_tat_dqa",
        "trec": "data_preprocess.trec:read_trec",
        "vidoseek": "data_preprocess.vidoseek:read_vidoseek",
        "vidore": "data_preprocess.vidore:read_vidore",
    },
    group="drag_rl.datasets",
)
"""Name -> reader. A new data set is a new file here and a new line in this table, or an entry point of a package."""
