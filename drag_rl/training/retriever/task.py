"""What is trained on what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A training of a retriever: what it starts from and what it is given."""

    model: str
    """Folder or hub id of the model to start from."""
    adapter: str | None
    """An adapter of it to go on from."""
    pages: Path
    """Folder of pages."""
    train: Path
    """Questions to learn from."""
    val: Path | None
    """Questions to evaluate on; None: no evaluation."""
    run: Path
    """Folder of the run."""
