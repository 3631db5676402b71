"""Documents of a data set that are PDFs, in a folder or in zip archives, as ``drag ingest`` takes them.

A document is known by its file's name without ``.pdf``, in whatever folder it lies. PDFs of a folder are read where
they are; those of archives are unpacked beside the pages, one at a time, and a killed run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from data_preprocess.zip_members import Member, UnreadableMemberError, members, unpack
from drag_rl.corpus.folder_listing import files_below, printable, refusal
from drag_rl.corpus.ingest import Documents
from drag_rl.corpus.sources import SUFFIXES, Source, doc_id_of
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem, sha256_file

_Place = TypeVar("_Place", str, Member)


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfFiles:
    """Where the PDFs of a data set are."""

    folder: Path
    """The folder of the data set."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Document -> path below ``folder``; empty where they are in archives."""
    archived: Mapping[str, Member] = field(default_factory=dict)
    """Document -> the member of an archive; empty where they are files."""
    problems: tuple[Problem, ...] = ()
    """What is left out, each with its reason."""

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.files or self.archived)

    def __contains__(self, doc_id: object) -> bool:
        """Whether there is a PDF of a document."""
        return doc_id in self.files or doc_id in self.archived

    def documents(self, wants: Callable[[str], bool], unpacked: Path) -> Documents:
        """Those documents that are wanted, to be read; ``unpacked`` is the folder for those of archives."""
        problems = list(self.problems)
        sources: list[Source] = []
        for doc_id, file in sorted(self.files.items()):
            if wants(doc_id):
                try:
                    sources.append(Source(doc_id, file, sha256_file(self.folder / file)))
                except OSError as error:
                    problems.append(Problem(where=file, reason=f"cannot be read ({error.strerror})"))
        for doc_id, member in sorted(self.archived.items()):
            if wants(doc_id):
                path = unpacked / member.file
                try:
                    unpack(member, path)
                except UnreadableMemberError as error:
                    problems.append(Problem(where=member.where, reason=str(error)))
                else:
                    sources.append(Source(doc_id, member.file, sha256_file(path)))
        folder = unpacked if self.archived else self.folder
        return Documents(kind="pdf_dir", folder=folder, sources=sources, problems=problems)


def find_pdfs(folder: Path, *, needed: bool = True) -> PdfFiles:
    """The PDFs below a folder, or those in the zip archives below it where these hold more of them.

    Raises ``InputError`` if there is none and one is ``needed``, or an archive is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"--source {folder}: no such folder")
    loose_problems: list[Problem] = []
    names = sorted(files_below(folder, SUFFIXES, loose_problems))
    refused = {name: reason for name in names if (reason := refusal(folder, name))}
    loose_problems += [Problem(where=printable(name), reason=reason) for name, reason in refused.items()]
    files = _named(((name, name) for name in names if name not in refused), loose_problems)

    archive_problems: list[Problem] = []
    archives = sorted(files_below(folder, (".zip",), archive_problems))
    found = (
        member
        for archive in archives
        if refusal(folder, archive) is None
        for member in members(folder / archive, SUFFIXES, archive_problems)
    )
    archived = _named(((member.name, member) for member in found), archive_problems)
    if needed and not files and not archived:
        raise InputError(f"--source {folder}: holds no .pdf file, nor a .zip archive with one")
    if len(files) >= len(archived):
        return PdfFiles(folder=folder, files=files, problems=tuple(loose_problems))
    return PdfFiles(folder=folder, archived=archived, problems=tuple(archive_problems))


def _named(places: Iterable[tuple[str, _Place]], problems: list[Problem]) -> dict[str, _Place]:
    """Document -> the first place of that name."""
    found: dict[str, _Place] = {}
    first: dict[str, str] = {}
    for path, place in places:
        doc_id = document_name(path)
        if doc_id in found:
            reason = f"has the same name as {first[doc_id]}, which is used"
            problems.append(Problem(where=printable(path), reason=reason))
        elif doc_id:
            found[doc_id], first[doc_id] = place, printable(path)
    return found


def document_name(path: str) -> str:
    """The document that a file's path means.

    >>> document_name("docs/train/report.PDF"), document_name("report")
    ('report', 'report')
    """
    return doc_id_of(path.replace("\\", "/").rpartition("/")[2])
