"""Page images from elsewhere (a table's cells, a user's files) kept as files of a corpus, named by what is in them.

The same image is kept once, and what a killed run has kept is not written again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from drag_rl.corpus.image_sources import TEXT_SUFFIX, PageFile
from drag_rl.files.manifest import atomic_write

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (rb"\x89PNG\r\n", ".png"),
    (rb"\xff\xd8\xff", ".jpg"),
    (rb"RIFF....WEBP", ".webp"),
    (rb"II\*\x00|MM\x00\*|II\+\x00|MM\x00\+", ".tif"),
    (rb"GIF8[79]a", ".gif"),
    (rb"BM", ".bmp"),
)
"""How files of the formats that we read begin, as regular expressions, and their suffix."""
_OURS = re.compile(r"\.?[0-9a-f]{64}\.(?:png|jpg|webp|tif|gif|bmp|txt)(?:\.[0-9a-f]{12}\.tmp)?")
"""Names of kept files, and of those being written."""


class ImageStore:
    """A folder of page images and their texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, image: bytes, text: str = "", number: int = 0) -> PageFile:
        """Keep an encoded image, whatever is in it, and its text if there is any; ``number`` is its page number."""
        sha256, file = self._keep(image, suffix_of(image))
        text_sha256, text_file = self._keep(text.encode(), TEXT_SUFFIX) if text else ("", "")
        return PageFile(file=file, sha256=sha256, number=number, text_file=text_file, text_sha256=text_sha256)

    def keep_only(self, kept: Iterable[PageFile]) -> None:
        """Remove what else an earlier run has kept; what is not of a store is the user's."""
        files = {file for page in kept for file in (page.file, page.text_file)}
        for path in self.folder.glob("??/*"):
            if _OURS.fullmatch(path.name) and path.relative_to(self.folder).as_posix() not in files:
                path.unlink()

    def _keep(self, data: bytes, suffix: str) -> tuple[str, str]:
        """The SHA-256 of bytes, and the file that holds them, with its path below the folder."""
        sha256 = hashlib.sha256(data).hexdigest()
        file = f"{sha256[:2]}/{sha256}{suffix}"
        path = self.folder / file
        if not path.is_file() or path.stat().st_size != len(data):
            with atomic_write(path, "wb") as out:
                out.write(data)
        return sha256, file


def suffix_of(image: bytes) -> str:
    """The suffix that a file of this image should have; ``.png`` for what is no image, which reading it will say.

    >>> suffix_of(bytes([0xFF, 0xD8, 0xFF, 0xE0])), suffix_of(b"text")
    ('.jpg', '.png')
    """
    return next((suffix for start, suffix in SIGNATURES if re.match(start, image, re.DOTALL)), ".png")
