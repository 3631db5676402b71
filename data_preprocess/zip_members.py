"""Members of zip archives that others made: listed and read without trusting their names or sizes.

Only the last part of a member's name is used, so that none can lead out of a folder. What a member unpacks to is
bounded by the size that the archive tells, and that is bounded too.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from drag_rl.corpus.folder_listing import printable
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem, atomic_write

MAX_MEMBER_BYTES = 1 << 30
"""Bytes that a member may unpack to, at most."""
MAX_RATIO = 100
"""How many times its own size an archive may unpack to; PDFs hardly shrink, archives that are bombs do."""
CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1
_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError)
"""Exceptions that reading a damaged archive may raise."""


class UnreadableMemberError(Exception):
    """A member cannot be read; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file in an archive."""

    archive: Path
    name: str
    """Its name in the archive, folders included."""
    size_bytes: int
    """Bytes that it unpacks to, as the archive tells."""
    crc32: int
    """Check sum of these bytes, as the archive tells."""

    @property
    def file(self) -> str:
        """The last part of its name."""
        return _file_name(self.name)

    @property
    def where(self) -> str:
        """What a message calls it."""
        return f"{self.archive.name}: {printable(self.name)[:200]}"


def members(archive: Path, suffixes: tuple[str, ...], problems: list[Problem]) -> list[Member]:
    """The members with one of ``suffixes``, in the archive's order; what must not be read is added to ``problems``.

    Raises ``InputError`` for a file that is no archive, and for one that would unpack to far more than it is.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            listed = opened.infolist()
        size = archive.stat().st_size
    except _ERRORS as error:
        raise InputError(f"{archive}: cannot be read as a zip archive ({error}); download it again") from None
    found = []
    counts = Counter(info.filename for info in listed)
    for info in {one.filename: one for one in listed}.values():
        file = _file_name(info.filename)
        if info.is_dir() or not file.lower().endswith(suffixes) or file.startswith("."):
            continue  # ._NAME is what macOS keeps of NAME
        member = Member(archive=archive, name=info.filename, size_bytes=info.file_size, crc32=info.CRC)
        if reason := _refusal(info, file, counts[info.filename]):
            problems.append(Problem(where=member.where, reason=reason))
        else:
            found.append(member)
    if (total := sum(member.size_bytes for member in found)) > MAX_RATIO * size:
        raise InputError(
            f"{archive}: would unpack to {total} bytes, more than {MAX_RATIO} times its {size}; is it damaged?"
        )
    return found


def read_member(member: Member, max_bytes: int = MAX_MEMBER_BYTES) -> bytes:
    """The bytes of a member.

    Raises ``UnreadableMemberError`` if it is damaged, or unpacks to more than ``max_bytes``.
    """
    if member.size_bytes > max_bytes:
        raise UnreadableMemberError(f"unpacks to more than {max_bytes} bytes")
    return b"".join(_chunks(member))


def unpack(member: Member, path: Path) -> None:
    """Write a member to ``path``, whole or not at all; what an earlier run has unpacked stays as it is.

    Raises ``UnreadableMemberError`` if the member is damaged.
    """
    if path.is_file() and path.stat().st_size == member.size_bytes and _crc32(path) == member.crc32:
        return
    with atomic_write(path, "wb") as out:
        for chunk in _chunks(member):
            out.write(chunk)


def _chunks(member: Member) -> Iterator[bytes]:
    """The bytes of a member: ``zipfile`` gives no more of them than the archive tells, and checks their sum."""
    try:
        with zipfile.ZipFile(member.archive) as opened, opened.open(member.name) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except _ERRORS as error:
        raise UnreadableMemberError(f"cannot be unpacked ({' '.join(str(error).split())[:200]})") from None


def _file_name(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def _refusal(info: zipfile.ZipInfo, file: str, count: int) -> str | None:
    """Why a member, of whose name the archive has ``count``, is not read, whatever is in it; None if it may be."""
    if count > 1:
        return f"is there {count} times; which one is meant cannot be told"
    if file != printable(file):
        return "name has control characters or is not UTF-8"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.file_size > MAX_MEMBER_BYTES:
        return f"unpacks to more than {MAX_MEMBER_BYTES} bytes"
    return None


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc
