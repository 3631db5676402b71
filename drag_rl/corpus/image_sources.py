"""Find the documents of a folder of images.

A sub-folder is a document whose images, in natural order, are its pages; an image that lies in no sub-folder is a
document of its own. A TIFF of several images has as many pages. The text of ``page.png`` may stand in ``page.txt``
beside it, that of several pages of one file between form feeds, as Tesseract and pdftotext write it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from drag_rl.corpus.folder_listing import files_below, printable, refusal
from drag_rl.corpus.image_pages import SUFFIXES
from drag_rl.corpus.sources import Source, copied
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem, sha256_file

TEXT_SUFFIX = ".txt"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class PageFile:
    """An image file of a document."""

    file: str
    """Path below the folder of images, with ``/``."""
    sha256: str
    """Hex SHA-256 of its bytes."""
    number: int = 0
    """The page number of its first image; 0: the one after the last page of the file before."""
    text_file: str = ""
    """Path of the file that holds its text; empty where there is none."""
    text_sha256: str = ""
    problem: str = ""
    """Why it is not to be read; empty if it is."""


@dataclass(frozen=True, slots=True, order=True)
class ImageSource(Source):
    """A document whose pages are images; ``file`` is its folder, or the one image."""

    images: tuple[PageFile, ...] = ()
    """In the order of its pages."""


def image_source(doc_id: str, file: str, images: Sequence[PageFile]) -> ImageSource:
    """A document of these images; its SHA-256 depends on what is in the files, and not on their names."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.sha256} {image.number} {image.text_sha256} {image.problem}\n".encode())
    return ImageSource(doc_id, file, digest.hexdigest(), tuple(images))


def source_from(fields: dict[str, Any]) -> Source:
    """The document that ``dataclasses.asdict`` has made into these fields."""
    if "images" not in fields:
        return Source(**fields)
    return ImageSource(**fields | {"images": tuple(PageFile(**image) for image in fields["images"])})


def find_image_sources(image_dir: Path) -> tuple[list[Source], list[Problem]]:
    """The documents of a folder of images by document id, and what is left out, each with its reason.

    An image that may not be read, such as a link, keeps its place in its document. Raises ``InputError`` if there is no
    such folder, or no image in it.
    """
    if not image_dir.is_dir():
        raise InputError(f"--image-dir {image_dir}: no such folder")
    problems: list[Problem] = []
    documents: dict[str, list[str]] = {}
    for file in files_below(image_dir, SUFFIXES, problems):
        folder = PurePosixPath(file).parent.as_posix()
        documents.setdefault(file if folder == "." else folder, []).append(file)
    sources: dict[str, Source] = {}
    for name in sorted(documents, key=lambda name: (_doc_id(name, documents), len(name), name)):
        doc_id = _doc_id(name, documents)
        images = [_page_file(image_dir, file) for file in sorted(documents[name], key=natural_order)]
        if name != printable(name) or (documents[name] == [name] and images[0].problem):
            reason = images[0].problem or "name has control characters or is not UTF-8; rename it"
        elif doc_id in sources:
            reason = f"has the same document id as {sources[doc_id].file}, which is used; rename one"
        else:
            sources[doc_id] = image_source(doc_id, name, images)
            continue
        problems.append(Problem(where=printable(name), reason=reason))
    if not sources and not problems:
        raise InputError(f"--image-dir {image_dir}: holds no image ({', '.join(SUFFIXES)})")
    return sorted(sources.values()), problems + copied(sources.values())


def natural_order(file: str) -> tuple[list[tuple[int, str]], str]:
    """A sort key that takes numbers in names as numbers.

    >>> sorted(["p10.png", "p9.png", "P1.png"], key=natural_order)
    ['P1.png', 'p9.png', 'p10.png']
    """
    parts = re.split(r"([0-9]+)", file.casefold())
    return [(int(part or 0), "") if place % 2 else (0, part) for place, part in enumerate(parts)], file


def _doc_id(name: str, documents: dict[str, list[str]]) -> str:
    return str(PurePosixPath(name).with_suffix("")) if documents[name] == [name] else name


def _page_file(image_dir: Path, file: str) -> PageFile:
    if problem := refusal(image_dir, file):
        return PageFile(file=printable(file), sha256="", problem=problem)
    text_file = PurePosixPath(file).with_suffix(TEXT_SUFFIX).as_posix()
    has_text = not refusal(image_dir, text_file)
    try:
        return PageFile(
            file=file,
            sha256=sha256_file(image_dir / file),
            text_file=text_file if has_text else "",
            text_sha256=sha256_file(image_dir / text_file) if has_text else "",
        )
    except OSError as error:
        return PageFile(file=file, sha256="", problem=f"cannot be read ({error.strerror})")
