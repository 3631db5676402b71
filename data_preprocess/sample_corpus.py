"""Real manuals to try everything on: ``python -m data_preprocess.sample_corpus``.

Fetches free PDF manuals from the Debian packages that hold them, without root and without installing
anything.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from data_preprocess.debian import DebianPackages
from drag_rl.console import run_app
from drag_rl.corpus.sources import SUFFIXES
from drag_rl.errors import InputError
from drag_rl.manifest import Manifest, atomic_path, manifest_path, read_manifest, sha256_file, write_manifest

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Size = Literal["small", "full"]
STAGE = "sample_corpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """One PDF of a package."""

    package: str
    name: str
    """What the document is called here, whatever the package's version calls it."""
    files: tuple[str, ...] = ()
    """Its file names in the package without ``.pdf``, the preferred one first; empty: ``name``."""
    only_full: bool = False
    """Left out of the small corpus."""


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

    Returns the manifest and whether anything had to be fetched. Raises ``InputError`` if the tools are
    missing, a package cannot be downloaded, or ``data_dir/pdfs`` holds files of someone else.
    """
    started = time.monotonic()
    pdf_dir = data_dir / "pdfs"
    manuals = [manual for manual in MANUALS if size == "full" or not manual.only_full]
    if pdf_dir.is_symlink():
        pdf_dir.unlink()
    present = _present(pdf_dir)
    if present and _names(present) == {manual.name for manual in manuals} and _unchanged(pdf_dir, present):
        return present, False
    licences, versions, sha256 = {}, {}, {}
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=".fetch-") as name:
        work = Path(name).resolve()
        debian = DebianPackages(work, "give your own PDFs with --pdf-dir")
        pdf_dir.mkdir(parents=True, exist_ok=True)
        for package in dict.fromkeys(manual.package for manual in manuals):
            content = work / package
            versions[package] = debian.unpack(debian.download(package), content)
            licences[package] = _copy_licence(content, data_dir, package)
        for manual in manuals:
            target = _copy_manual(work / manual.package, pdf_dir, manual)
            sha256[target.name] = sha256_file(target)
    for path in pdf_dir.iterdir():
        if path.name.lower().endswith(SUFFIXES) and path.name not in sha256:
            path.unlink()  # a manual of the other size or of an older package
    config = {"size": size, "packages": versions, "licences": licences, "sha256": sha256}
    fingerprint = hashlib.sha256(repr(sorted(sha256.items())).encode()).hexdigest()
    manifest = write_manifest(
        pdf_dir,
        stage=STAGE,
        fingerprint=fingerprint,
        config=config,
        counts={"documents": len(sha256)},
        seconds=time.monotonic() - started,
    )
    return manifest, True


def use_own(data_dir: Path, pdf_dir: Path) -> int:
    """Make ``data_dir/pdfs`` a link to a folder of the user's; returns how many PDFs it holds.

    Raises ``InputError`` if there are none, or if ``data_dir/pdfs`` is a folder already.
    """
    if not pdf_dir.is_dir():
        raise InputError(f"--pdf-dir {pdf_dir}: no such folder")
    count = sum(path.name.lower().endswith(SUFFIXES) for path in pdf_dir.rglob("*"))
    if not count:
        raise InputError(f"--pdf-dir {pdf_dir}: holds no .pdf or .pdf.gz file")
    link = data_dir / "pdfs"
    if link.is_dir() and not link.is_symlink():
        raise InputError(f"{link} is a folder already; choose another --data-dir or remove it")
    link.unlink(missing_ok=True)
    link.symlink_to(pdf_dir.resolve(), target_is_directory=True)
    return count


def _present(pdf_dir: Path) -> Manifest | None:
    """The manifest of the manuals that are there already, None if there are none."""
    if not pdf_dir.exists() or not any(pdf_dir.iterdir()):
        return None
    if not manifest_path(pdf_dir).exists():
        names = {manual.name for manual in MANUALS}
        strange = [path.name for path in pdf_dir.iterdir() if path.name.split(".")[0] not in names]
        if strange:
            raise InputError(f"{pdf_dir} holds files of yours ({strange[0]}); choose another --data-dir")
        return None  # an earlier run was cut off
    manifest = read_manifest(pdf_dir)
    if manifest.stage != STAGE:
        raise InputError(f"{pdf_dir} was made by {manifest.stage}; choose another --data-dir")
    return manifest


def _names(manifest: Manifest) -> set[str]:
    return {name.split(".")[0] for name in manifest.config["sha256"]}


def _unchanged(pdf_dir: Path, manifest: Manifest) -> bool:
    found = {path.name: path for path in pdf_dir.iterdir() if path.name.lower().endswith(SUFFIXES)}
    wanted: dict[str, str] = manifest.config["sha256"]
    return found.keys() == wanted.keys() and all(
        sha256_file(path) == wanted[name] for name, path in found.items()
    )


def _copy_manual(content: Path, pdf_dir: Path, manual: Manual) -> Path:
    for stem in manual.files or (manual.name,):
        for suffix in SUFFIXES:
            for path in content.rglob(f"{stem}{suffix}"):
                if path.is_file() and not path.is_symlink():
                    return _copy(path, pdf_dir / f"{manual.name}{suffix}")
    raise InputError(
        f"package {manual.package} holds no {manual.name}.pdf; give your own PDFs with --pdf-dir"
    )


def _copy_licence(content: Path, data_dir: Path, package: str) -> str:
    path = content / "usr" / "share" / "doc" / package / "copyright"
    if not path.is_file():
        raise InputError(f"package {package} holds no licence at {path.relative_to(content)}")
    return _copy(path, data_dir / "licences" / f"{package}.txt").relative_to(data_dir).as_posix()


def _copy(source: Path, target: Path) -> Path:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    return target


@app.command()
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
