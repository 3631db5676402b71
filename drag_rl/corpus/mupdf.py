"""PyMuPDF, see :mod:`drag_rl.mupdf`."""

from __future__ import annotations

from drag_rl.mupdf import pymupdf

__all__ = ["pymupdf"]
