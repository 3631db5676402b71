"""Converting a data set's fixture, and looking at what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from data_preprocess.convert import convert_dataset
from drag_rl.corpus.pages import load_pages
from drag_rl.files.manifest import Manifest
from drag_rl.questions import read_questions
from drag_rl.splits import SPLITS
from drag_rl.types import Page, Question


class Converted(NamedTuple):
    """What a conversion wrote."""

    manifest: Manifest
    pages: dict[str, Page]
    questions: dict[str, Question]
    """By text."""
    splits: dict[str, list[str]]
    """Split -> texts of its questions."""

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> how often."""
        counts = self.manifest.counts.items()
        return {name.removeprefix("dropped_"): n for name, n in counts if name.startswith("dropped_")}

    @property
    def gold(self) -> dict[str, tuple[str, ...]]:
        """Text of a question -> its gold pages."""
        return {text: question.gold_page_ids for text, question in self.questions.items()}


def converted(name: str, source: Path, out: Path, selection: Any = None, **run: Any) -> Converted:
    """Convert into ``out``, pages into ``out/pages``, and read all of it again."""
    manifest = convert_dataset(name, source, out / "pages", out, selection, **run)
    files = {split: out / f"questions.{split}.parquet" for split in SPLITS}
    asked = {split: read_questions(path) for split, path in files.items() if path.exists()}
    return Converted(
        manifest,
        {page.page_id: page for page in load_pages(out / "pages")},
        {question.text: question for own in asked.values() for question in own},
        {split: [question.text for question in own] for split, own in asked.items()},
    )
