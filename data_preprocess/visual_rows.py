"""Rows of visual question answering sets: the challenge's own JSON with images in files, or the hub's parquet.

The JSON of the Robust Reading Competition is ``{"data": [...]}``, a file for each split, and names image files that lie
in some folder beside it. In parquet the images are in the cells.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from data_preprocess.datasets import ImagePage
from data_preprocess.json_rows import json_rows
from data_preprocess.parquet_rows import columns_of, image_of, parquet_rows, text_of
from data_preprocess.vidore_files import SPLIT_OF
from drag_rl.corpus.clean_text import clean_text
from drag_rl.corpus.image_pages import SUFFIXES
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem
from drag_rl.splits import Split


@dataclass(frozen=True, slots=True)
class VisualRow:
    """A row and where it stands."""

    where: str
    """File below the source, and row."""
    split: Split
    cells: dict[str, Any]


class VisualRows:
    """The rows of all files of a data set; to be read several times."""

    def __init__(self, source: Path, question: str = "question") -> None:
        """``question`` is the column that the files of the data set have; others are none of it.

        Raises ``InputError`` if there is no such file.
        """
        self.source = source
        self._files: list[tuple[Path, Split]] = []
        paths = sorted([*source.rglob("*.parquet"), *source.rglob("*.json")]) if source.is_dir() else []
        for path in paths:
            split = split_of(path)
            if split and (path.suffix == ".json" or question in columns_of(path)):
                self._files.append((path, split))
        if not self._files:
            raise InputError(
                f"--source {source}: holds no file of the data set: a .parquet with {question!r}, or the challenge's "
                ".json, with train, val or test in its name"
            )

    def read(self, leave_out: Collection[str] = ()) -> Iterator[VisualRow]:
        """Each row; columns of parquet files that are in ``leave_out``, those of images, are not read.

        Raises ``InputError`` for a file that is damaged, or another JSON than the challenge's.
        """
        for path, split in self._files:
            where = path.relative_to(self.source).as_posix()
            if path.suffix == ".json":
                rows: Iterator[tuple[int, dict[str, Any]]] = enumerate(json_rows(path, "data"), start=1)
            else:
                rows = parquet_rows(path, [name for name in columns_of(path) if name not in leave_out])
            for number, cells in rows:
                told = SPLIT_OF.get(text_of(cells.get("data_split")), split)
                yield VisualRow(f"{where} row {number}", told, cells)

    def image(self, cell: object) -> bytes | str:
        """The encoded image of a cell or of the file that it names, or why there is none."""
        if not isinstance(cell, str):
            return image_of(cell)
        path = self._image_files.get(PurePosixPath(cell).stem)
        if path is None:
            return f"names the image {cell[:80]!r}, which is nowhere below the source"
        return path.read_bytes()

    @cached_property
    def _image_files(self) -> dict[str, Path]:
        """Name without suffix -> file."""
        files = (path for path in sorted(self.source.rglob("*")) if path.suffix.lower() in SUFFIXES)
        return {path.stem: path for path in files if path.is_file() and not path.is_symlink()}


@dataclass(slots=True)
class UniquePages:
    """Pages that several rows have, each taken once."""

    problems: list[Problem]
    _seen: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def page(
        self, where: str, doc_id: str, number: int, image: bytes | str, text: str = ""
    ) -> Iterator[ImagePage]:
        """The page, or nothing where an earlier row had it."""
        data = b"" if isinstance(image, str) else image
        digest = hashlib.sha256(data).digest()
        if (doc_id, number) in self._seen:
            if self._seen[doc_id, number] != digest:
                reason = f"page {number} of {doc_id!r} is another image than before; the first is used"
                self.problems.append(Problem(where=where, reason=reason))
            return
        self._seen[doc_id, number] = digest
        problem = image if isinstance(image, str) else ""
        if problem:
            self.problems.append(Problem(where=where, reason=problem))
        yield ImagePage(doc_id=doc_id, page_number=number, image=data, text=text, problem=problem)


def document(name: object) -> str:
    """A cell as a document id."""
    clean = " ".join(clean_text(text_of(name)).split())
    return "".join(character if character.isprintable() else "\ufffd" for character in clean)


def listed(cell: object) -> list[Any]:
    """A cell that holds a list, or one that is written as text, as on the hub.

    >>> listed(["a"]), listed("['a', 'b']"), listed("a"), listed(None)
    (['a'], ['a', 'b'], ['a'], [])
    """
    if isinstance(cell, str) and cell.strip().startswith("["):
        try:
            cell = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [cell]
    if cell is None or cell == "":
        return []
    return list(cell) if isinstance(cell, list | tuple) else [cell]


def whole(cell: object) -> int | None:
    """A cell as a whole number; None if it is none.

    >>> whole("3"), whole(3.0), whole("x"), whole(None)
    (3, 3, None, None)
    """
    text = text_of(cell)
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 10 else None


def split_of(path: Path) -> Split | None:
    """The split that a file's name tells, as a word of it; None if it tells none.

    >>> split_of(Path("slidevqa_test.json")), split_of(Path("validation-00000-of-00002.parquet"))
    ('test', 'val')
    """
    words = re.findall("[a-z]+", path.stem.casefold())
    return next((SPLIT_OF[word] for word in words if word in SPLIT_OF), None)
