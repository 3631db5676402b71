"""Keep what a run has read, one file for each document, so that a killed run resumes where it was."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from drag_rl.corpus.pdf_pages import DocumentResult, ReadOptions
from drag_rl.corpus.sources import Source
from drag_rl.files.manifest import Problem, atomic_write, package_version
from drag_rl.types import Page

READER_VERSION = 2
"""Version of the reader, raised whenever it reads the same PDF differently; parts of another version are not used."""


_OURS = re.compile(r"[0-9a-f]{64}\.json|\.[0-9a-f]{64}\.json\.[0-9a-f]{12}\.tmp")
"""Names of parts, and of parts being written."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The folder of parts of one corpus, for one set of options."""

    folder: Path
    options: ReadOptions

    def key(self, source: Source) -> str:
        """What a document's part depends on, as a hex SHA-256: its bytes and names, options, versions."""
        options = asdict(self.options)
        del options["tessdata"]
        facts = [READER_VERSION, package_version("pymupdf"), options, asdict(source)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def load(self, source: Source) -> DocumentResult | None:
        """The stored result of a document; None if there is none, it is damaged, or another try is worthwhile."""
        try:
            found = json.loads(self._path(source).read_text(encoding="utf-8"))
            result = DocumentResult(
                pages=tuple(Page(**page) for page in found["pages"]),
                problems=tuple(Problem(**problem) for problem in found["problems"]),
                given_up=found["given_up"],
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return result

    def save(self, source: Source, result: DocumentResult) -> None:
        """Keep what was read of a document."""
        with atomic_write(self._path(source)) as file:
            json.dump(asdict(result), file, ensure_ascii=False)

    def keep_only(self, sources: Iterable[Source]) -> None:
        """Remove all other parts, and what killed runs left behind; what else is in the folder is the user's."""
        kept = {self._path(source).name for source in sources}
        for path in self.folder.iterdir():
            if path.name not in kept and _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _path(self, source: Source) -> Path:
        return self.folder / f"{self.key(source)}.json"
