"""The questions that are checked: all rows of all files, wrong ones too, each with its place."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.questions import each_question
from drag_rl.splits import SPLITS
from drag_rl.types import Question

SHOWN_CHARS = 80
"""Characters of a text that a line of the report shows, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question and where it stands."""

    file: Path
    row: int
    """1-based."""
    question: Question

    @property
    def place(self) -> str:
        """File and row."""
        return f"{self.file} row {self.row}"

    @property
    def same(self) -> tuple[str, str, tuple[str, ...]]:
        """Equal for questions that are one: in the same words, of the same document and images."""
        return same_words(self.question.text), self.question.document, self.question.images


@dataclass(frozen=True, slots=True, eq=False)
class QuestionFile:
    """One file, which is one split."""

    path: Path
    asked: list[Asked]
    faults: list[str]
    """Place and reason of each row that is no question."""


def read_files(paths: Sequence[Path]) -> list[QuestionFile]:
    """All rows of files, or of the files of a folder, in the order given.

    Raises ``InputError`` for a file that is missing, named twice, or none of questions, and for a folder without any.
    """
    files = [file for path in paths for file in _files(path)]
    twice = next((file for place, file in enumerate(files) if file in files[:place]), None)
    if twice is not None:
        raise InputError(f"--questions {twice}: is given twice; name each file once")
    return [_read(file) for file in files]


def shown(text: str) -> str:
    """A text in quotes, cut to one short line."""
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= SHOWN_CHARS else f'"{line[:SHOWN_CHARS]}..."'


def same_words(text: str) -> str:
    """A text without what two writers of one question may do differently: case, white space, the last sign.

    >>> same_words("What is  C#?"), same_words("what is C#")
    ('what is c#', 'what is c#')
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip("?!. ")


def share(count: int, total: int) -> str:
    """So many of so many, and as a percentage.

    >>> share(3, 40)
    '3 of 40 questions (7.5%)'
    """
    return f"{count} of {total} questions ({count / total:.1%})"


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = [path / f"questions.{split}.parquet" for split in SPLITS]
    found = [file for file in found if file.exists()]
    if not found:
        raise InputError(
            f"--questions {path}: has no questions.train.parquet, questions.val.parquet or questions.test.parquet"
        )
    yield from found


def _read(path: Path) -> QuestionFile:
    asked, faults = [], []
    for row, found in each_question(path):
        if isinstance(found, InputError):
            faults.append(f"{path} row {row}: {found}")
        else:
            asked.append(Asked(path, row, found))
    return QuestionFile(path, asked, faults)
