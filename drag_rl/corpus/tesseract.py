"""Find Tesseract's language files: all that PyMuPDF needs for OCR."""

from __future__ import annotations

import hashlib
from pathlib import Path

from drag_rl.corpus.pdf_pages import OcrMode, ReadOptions
from drag_rl.errors import InputError
from drag_rl.mupdf import pymupdf


def read_options(ocr: OcrMode = "auto", language: str = "eng") -> ReadOptions:
    """The options for reading PDFs on this machine.

    With ``auto`` a missing Tesseract is no error: ``tessdata`` is empty then, and pages that need OCR say
    so. Raises ``InputError`` for ``force`` without Tesseract, and for a language that is not installed.
    """
    if ocr == "off":
        return ReadOptions(ocr="off", ocr_language=language)
    folder = _tessdata_folder()
    if folder is None:
        if ocr == "force":
            raise InputError("--ocr force: Tesseract is not installed; install it or set TESSDATA_PREFIX")
        return ReadOptions(ocr=ocr, ocr_language=language)
    installed = {path.stem: path for path in sorted(folder.glob("*.traineddata"))}
    digest = hashlib.sha256()
    for name in language.split("+"):
        if name not in installed:
            known = ", ".join(installed) or "none"
            raise InputError(f"--ocr-language {name}: not installed in {folder} (there are: {known})")
        digest.update(installed[name].read_bytes())
    return ReadOptions(
        ocr=ocr, ocr_language=language, tessdata=str(folder.resolve()), tessdata_sha256=digest.hexdigest()
    )


def _tessdata_folder() -> Path | None:
    try:
        found = pymupdf.get_tessdata()
    except RuntimeError:
        return None
    return Path(found) if found else None
