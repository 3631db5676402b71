"""Fetch real manuals to try everything on: ``drag data sample``.

Fetches free PDF manuals from the Debian packages that hold them, without root and without installing
anything.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from data_preprocess.debian import DebianPackages
from drag_rl.console import run_app
from drag_rl.corpus.sources import SUFFIXES
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files, new_files
from drag_rl.files.manifest import (
    Manifest,
    atomic_path,
    manifest_path,
    read_manifest,
    sha256_file,
    write_manifest,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Size = Literal["small", "full"]
STAGE = "sample_corpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """One PDF of a package."""

    package: str
    name: str
    """Name of the document here, whatever its file is called in the package."""
    files: tuple[str, ...] = ()
    """File names that it may have in the package, without ``.pdf``, the preferred one first; empty means ``name``."""
    only_full: bool = False
    """Whether it is left out of the small corpus."""


MANUALS: tuple[Manual, ...] = (
    *(
        Manual(package="r-doc-pdf", name=name)
        for name in ("R-FAQ", "R-admin", "R-data", "R-exts", "R-intro", "R-ints", "R-lang")
    ),
    Manual(package="debian-faq", name="debian-faq", files=("debian-faq.en", "debian-faq")),
    Manual(package="python-reportlab-doc", name="reportlab-userguide"),
    Manual(package="goldencheetah", name="goldencheetah-faq", files=("GC3-FAQ",)),
    Manual(package="grace", name="grace-faq", files=("FAQ",)),
    Manual(package="nut-doc", name="nut-faq", files=("FAQ",)),
    Manual(package="python3-pyx-doc", name="pyx-faq", files=("pyxfaq",)),
    Manual(package="r-cran-xts", name="xts-faq"),
    Manual(package="simh", name="simh-faq", files=("simh_faq",)),
    Manual(package="r-doc-pdf", name="fullrefman", only_full=True),
    Manual(package="octave-doc", name="octave", only_full=True),
    Manual(package="gnuplot-doc", name="gnuplot", only_full=True),
    Manual(
        package="debian-reference-en",
        name="debian-reference",
        files=("debian-reference.en", "debian-reference"),
        only_full=True,
    ),
)


def fetch_manuals(data_dir: Path, size: Size) -> tuple[Manifest, bool]:
    """Put the manuals into ``data_dir/pdfs`` and their licences into ``data_dir/licences``.

    PDFs that the user adds to that folder stay. Returns the manifest and whether anything had to be fetched. Raises
    ``InputError`` if the tools are missing, a package cannot be downloaded, or something of the user's is in the way.
    """
    started = time.monotonic()
    pdf_dir = data_dir / "pdfs"
    manuals = [manual for manual in MANUALS if size == "full" or not manual.only_full]
    files = [f"{manual.name}{suffix}" for manual in manuals for suffix in SUFFIXES]
    present = _present(pdf_dir, files)
    if present and _names(present) == {manual.name for manual in manuals} and _complete(pdf_dir, present):
        return present, False
    licences, versions, sha256 = {}, {}, {}
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=".fetch-") as name:
        work = Path(name).resolve()
        debian = DebianPackages(work, "give your own PDFs with --pdf-dir")
        for package in dict.fromkeys(manual.package for manual in manuals):
            content = work / package
            versions[package] = debian.unpack(debian.download(package), content)
            licences[package] = _copy_licence(content, data_dir, package, present)
        with new_files(pdf_dir, [STAGE], files, "--data-dir") as folder:
            for manual in manuals:
                target = _copy_manual(work / manual.package, folder, manual)
                sha256[target.name] = sha256_file(target)
            manifest = write_manifest(
                folder,
                stage=STAGE,
                fingerprint=hashlib.sha256(repr(sorted(sha256.items())).encode()).hexdigest(),
                config={"size": size, "packages": versions, "licences": licences, "sha256": sha256},
                counts={"documents": len(sha256)},
                seconds=time.monotonic() - started,
            )
    return manifest, True


def use_own(data_dir: Path, pdf_dir: Path) -> int:
    """Make ``data_dir/pdfs`` a link to a folder of the user's; returns how many PDFs it holds.

    Raises ``InputError`` if there are none, or if ``data_dir/pdfs`` is something else already.
    """
    if not pdf_dir.is_dir():
        raise InputError(f"--pdf-dir {pdf_dir}: no such folder")
    count = sum(path.name.lower().endswith(SUFFIXES) for path in pdf_dir.rglob("*"))
    if not count:
        raise InputError(f"--pdf-dir {pdf_dir}: holds no .pdf or .pdf.gz file")
    link = data_dir / "pdfs"
    if link.is_symlink() and link.resolve() != pdf_dir.resolve():
        raise InputError(
            f"{link} is a link to {link.readlink()}; choose another --data-dir or remove the link"
        )
    if link.exists() and not link.is_symlink():
        raise InputError(f"{link} is there already; choose another --data-dir or remove it")
    if not link.is_symlink():
        link.symlink_to(pdf_dir.resolve(), target_is_directory=True)
    return count


def _present(pdf_dir: Path, files: Sequence[str]) -> Manifest | None:
    """The manifest of the manuals that are there already, None if there are none; ``files`` may be written."""
    if pdf_dir.is_symlink():
        place = pdf_dir.readlink()
        raise InputError(f"{pdf_dir} is a link to {place}; give --pdf-dir {place} again, or remove the link")
    claim_files(pdf_dir, [STAGE], files, "--data-dir")
    if not manifest_path(pdf_dir).exists():
        found = pdf_dir.iterdir() if pdf_dir.exists() else ()
        if own := [path.name for path in found if not path.name.startswith(".")]:
            raise InputError(f"{pdf_dir} holds files of yours ({own[0]}); choose another --data-dir")
        return None
    manifest = read_manifest(pdf_dir)
    for name, sha256 in manifest.config["sha256"].items():
        path = pdf_dir / name
        if path.exists() and sha256_file(path) != sha256:
            raise InputError(
                f"{path}: has changed since it was fetched; move it away, and it is fetched again"
            )
    return manifest


def _names(manifest: Manifest) -> set[str]:
    return {name.split(".")[0] for name in manifest.config["sha256"]}


def _complete(pdf_dir: Path, manifest: Manifest) -> bool:
    return all((pdf_dir / name).exists() for name in manifest.config["sha256"])


def _copy_manual(content: Path, pdf_dir: Path, manual: Manual) -> Path:
    for stem in manual.files or (manual.name,):
        for suffix in SUFFIXES:
            for path in content.rglob(f"{stem}{suffix}"):
                if path.is_file() and not path.is_symlink():
                    return _copy(path, pdf_dir / f"{manual.name}{suffix}")
    raise InputError(
        f"package {manual.package} holds no {manual.name}.pdf; give your own PDFs with --pdf-dir"
    )


def _copy_licence(content: Path, data_dir: Path, package: str, present: Manifest | None) -> str:
    source = content / "usr" / "share" / "doc" / package / "copyright"
    if not source.is_file():
        raise InputError(f"package {package} has no licence at {source.relative_to(content)}")
    target = data_dir / "licences" / f"{package}.txt"
    name = target.relative_to(data_dir).as_posix()
    ours = present is not None and name in present.config.get("licences", {}).values()
    if os.path.lexists(target) and not ours and target.read_bytes() != source.read_bytes():
        raise InputError(
            f"{target}: was not written by an earlier run; move it away, or choose another --data-dir"
        )
    _copy(source, target)
    return name


def _copy(source: Path, target: Path) -> Path:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    return target


@app.command("sample")
def sample_corpus(
    data_dir: Annotated[Path, typer.Option(help="The PDFs go to DATA_DIR/pdfs.")] = Path("data"),
    size: Annotated[
        Size, typer.Option(help="small: 15 manuals, 1,000 pages; full: 19, about 5,100.")
    ] = "small",
    pdf_dir: Annotated[
        Path | None, typer.Option(help="Use this folder of your own; DATA_DIR/pdfs becomes a link to it.")
    ] = None,
) -> None:
    """Fetch PDF manuals from Debian packages, without root."""
    console = Console()
    data_dir.mkdir(parents=True, exist_ok=True)
    if pdf_dir is not None:
        console.print(f"{data_dir / 'pdfs'} is {pdf_dir}: {use_own(data_dir, pdf_dir)} PDFs.")
        return
    with console.status("Fetching manuals ..."):
        manifest, fetched = fetch_manuals(data_dir, size)
    what = f"fetched in {manifest.seconds:.0f} s" if fetched else "up to date"
    console.print(f"{data_dir / 'pdfs'}: {manifest.counts['documents']} manuals, {what}.")


if __name__ == "__main__":
    run_app(app, "data_preprocess.sample_corpus")
