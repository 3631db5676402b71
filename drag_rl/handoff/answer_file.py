"""A growing ``answers.jsonl``: what a generator answered, one line for each trajectory; see ``files.growing``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import TypeAdapter

from drag_rl.files.growing import GrowingFile, Key
from drag_rl.trajectories.rows import errors_named, read_lines
from drag_rl.types import Generated


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """One answer."""

    question_id: str
    sample: int
    """0-based number of the trajectory among those of the question."""
    generated: Generated


_ROW = TypeAdapter(AnswerRow)


class AnswerFile(GrowingFile[AnswerRow]):
    """An open file of answers; make it with :meth:`open`, which also closes it."""

    stage: ClassVar[str] = "evaluate --generator"
    packages: ClassVar[tuple[str, ...]] = ("openai",)

    @staticmethod
    def key(row: AnswerRow) -> Key:
        """The question and the sample."""
        return row.question_id, row.sample

    @staticmethod
    def line(row: AnswerRow) -> str:
        """The row as one line of JSON."""
        return json.dumps(asdict(row), ensure_ascii=False)

    @staticmethod
    def failed(row: AnswerRow) -> bool:
        """Whether there is no answer, because something failed."""
        return bool(row.generated.error)

    @staticmethod
    def rows(path: Path) -> Iterator[AnswerRow]:
        """The answers of a file, in order. Raises InputError naming the file and the line that is none."""
        for where, line in read_lines(path):
            with errors_named(where, "answer of `drag evaluate --generator`"):
                yield _ROW.validate_json(line)

    def forget(self) -> None:
        """Set the counts to nothing."""
        self._counts = {"answers": 0, "refused": 0, "errors": 0}

    def count(self, row: AnswerRow) -> None:
        """Add an answer to the counts."""
        self._counts["answers"] += 1
        self._counts["refused"] += row.generated.refused
        self._counts["errors"] += self.failed(row)

    def counted(self) -> dict[str, int]:
        """How many answers there are, how many of them are refusals, and how many failed."""
        return self._counts
