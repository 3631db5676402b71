"""PyMuPDF, imported without the neural network for page layout that PyMuPDF 2 loads by itself.

Nothing here asks for layouts, and loading it takes most of the time in which a reader of PDFs starts. Whoever does ask
can still ``import pymupdf.layout`` afterwards.
"""

from __future__ import annotations

import sys

_LAYOUT = [name for name in ("pymupdf.layout", "pymupdf4llm") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_LAYOUT))  # type: ignore[arg-type]  # None: an import of it fails
try:
    import pymupdf
finally:
    for _name in _LAYOUT:
        del sys.modules[_name]

__all__ = ["pymupdf"]
