"""A page of a corpus, and a page found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a corpus; a page that could not be read is a row with its reason, never a silent skip."""

    page_id: str
    """``"<doc_id>#<page_number>"``."""
    doc_id: str
    """Path of the document below the folder of PDFs or images, without its suffix; unique in a corpus."""
    page_number: int
    """1-based position in the file."""
    label: str
    """The printed page label (``"xii"``, ``"42"``), empty if the file has none."""
    text: str
    """Reading-order text; empty if the page has none."""
    width_pt: float
    """Page width in points (1/72 inch), of an image in pixels; 0 when unknown."""
    height_pt: float
    """Page height in points (1/72 inch), of an image in pixels; 0 when unknown."""
    source_file: str
    """Path of the source below the folder of PDFs or images, suffix included; empty when the page came from an OCR
    file. A page of an image file that has several is named ``scan.tif#2``."""
    source_sha256: str
    """Hex SHA-256 of the source file's bytes."""
    text_source: Literal["pdf", "ocr", "none"]
    """Where the text came from: the PDF's text layer, OCR (ours or somebody's), or nowhere."""
    status: Literal["ok", "failed"]
    """``failed`` pages are kept as rows, and are neither indexed nor shown."""
    reason: str
    """Why the page failed or has no text; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One retrieved page."""

    page_id: str
    rank: int
    """1-based; 1 is the best."""
    score: float
    """The retriever's score (of BM25, say), higher is better; comparable only within one query of one retriever."""
    snippet: str = ""
    """The part of the page's text that fits the query best."""
