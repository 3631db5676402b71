"""PDFs to pages and their images."""

from __future__ import annotations

import sys

# PyMuPDF 2 loads a neural network for the layout of pages whenever it is imported. Nothing here asks for it, and it
# would take most of the time in which a reader of PDFs starts.
for name in ("pymupdf.layout", "pymupdf4llm"):
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]
