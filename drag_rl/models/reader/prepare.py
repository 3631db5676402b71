"""Make pages ready for a reader's training: ``python -m drag_rl.models.reader.prepare --pdf-dir DIR --out PAGES``.

Renders the pages of PDFs at varied resolutions, some turned by a degree or two, and sets as many anew in other fonts.
Documents that are held out are not opened; those that are watched, and pages in watched fonts, tell while training how
well it reads what it was not trained on.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import Problem, read_manifest, sha256_file, write_manifest
from drag_rl.models.reader.page_store import (
    OTHER_DOCUMENTS,
    OTHER_FONTS,
    PIXELS,
    STAGE,
    TRAIN,
    PageWriter,
)
from drag_rl.models.reader.pages import printed_page, text_of, varied_dpi
from drag_rl.models.reader.typesetting import Typesetter, text_fonts
from drag_rl.mupdf import pymupdf

SUFFIXES = (".pdf", ".pdf.gz")
TURNED = 0.2
"""Share of pages that are turned a little, as on a scanner."""
MOST_DEGREES = 2.0
PASSAGE = 1_500
"""Words of a passage that is set anew; the page takes what it has room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSettings:
    """Which pages are made ready."""

    held_out: tuple[str, ...] = ()
    """Documents, by file name without suffix, that are left out: what is measured on in the end."""
    watched: tuple[str, ...] = ()
    """Documents that are watched while training, and not trained on; patterns such as ``R-*`` are meant, too."""
    watched_fonts: tuple[str, ...] = ()
    """Patterns of the file names of fonts that are watched."""
    most_pages: int = 400
    """Of a document, drawn at random where it has more, so that no book outweighs all others."""
    set_anew: float = 1.0
    """How many pages are set anew for each that is rendered, given fonts."""
    seed: int = 0


def prepare(
    pdf_dirs: Sequence[Path], out: Path, font_dir: Path | None, settings: PrepareSettings
) -> dict[str, int]:
    """Write the pages to the new folder ``out``, unless they are there already; returns counts of them.

    Raises ``InputError`` if there is no PDF to train on, or ``out`` holds something else.
    """
    started = time.monotonic()
    paths = [path for path in pdfs_below(pdf_dirs) if not _named(path, settings.held_out)]
    if all(_named(path, settings.watched) for path in paths):
        raise InputError(f"--pdf-dir {', '.join(map(str, pdf_dirs))}: holds no PDF to train on")
    problems: list[Problem] = []
    fonts = text_fonts(font_dir) if font_dir else []
    watched_fonts = [
        font for font in fonts if any(fnmatch(font.name, name) for name in settings.watched_fonts)
    ]
    trained_fonts = [font for font in fonts if font not in watched_fonts]
    inputs = {path.name: sha256_file(path) for path in paths}
    config = {**asdict(settings), "fonts": [font.name for font in fonts]}
    fingerprint = sha256(repr((sorted(inputs.items()), config)).encode()).hexdigest()
    if out.is_dir() and any(out.iterdir()):
        there = read_manifest(out)
        if (there.stage, there.fingerprint) == (STAGE, fingerprint):
            return there.counts
    with new_folder(out, STAGE) as folder, (folder / PIXELS).open("wb") as pixels:
        writer = PageWriter(folder, pixels)
        counts = {"documents": len(paths)}
        setters = {TRAIN: Typesetter(trained_fonts), OTHER_DOCUMENTS: Typesetter(watched_fonts)}
        for number, path in enumerate(paths):
            part = OTHER_DOCUMENTS if _named(path, settings.watched) else TRAIN
            generator = np.random.default_rng((settings.seed, number))
            try:
                _add_document(writer, path, number, part, setters[part], settings, generator)
            except (RuntimeError, ValueError, OSError, EOFError) as error:
                problems.append(Problem(where=path.name, reason=" ".join(str(error).split())[:200]))
        writer.finish()
        pixels.flush()
        counts["pages"] = writer.pages
        write_manifest(
            folder,
            stage=STAGE,
            fingerprint=fingerprint,
            inputs=inputs,
            config=config,
            counts=counts,
            problems=problems,
            seconds=time.monotonic() - started,
        )
    return counts


def _add_document(
    writer: PageWriter,
    path: Path,
    number: int,
    part: int,
    setter: Typesetter,
    settings: PrepareSettings,
    generator: np.random.Generator,
) -> None:
    """Render some pages of a document, and set others anew from its words."""
    words: list[str] = []
    with opened(path) as document:
        taken = generator.permutation(len(document))[: settings.most_pages]
        for page in (document[int(place)] for place in sorted(taken)):
            words += text_of(page)
            if (
                printed := printed_page(page, dpi=varied_dpi(generator), degrees=_angle(generator))
            ) is not None:
                writer.add(printed, number, part)
    if not setter.fonts or not words:
        return
    for _ in range(round(settings.set_anew * len(taken))):
        begin = int(generator.integers(max(1, len(words) - PASSAGE // 2)))
        font = setter.fonts[int(generator.integers(len(setter.fonts)))]
        page = setter.page(words[begin : begin + PASSAGE], font, generator)
        printed = printed_page(page, dpi=varied_dpi(generator), degrees=_angle(generator))
        if printed is not None:
            writer.add(printed, number, OTHER_FONTS if part == OTHER_DOCUMENTS else TRAIN)


def _angle(generator: np.random.Generator) -> float:
    return float(generator.uniform(-MOST_DEGREES, MOST_DEGREES)) if generator.random() < TURNED else 0.0


def pdfs_below(folders: Sequence[Path]) -> Iterator[Path]:
    """The PDFs of some folders, at any depth, by name; raises ``InputError`` for a folder that is not there."""
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"--pdf-dir {folder}: no such folder")
        yield from sorted(path for path in folder.rglob("*") if path.name.lower().endswith(SUFFIXES))


def _named(path: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.name.split(".pdf")[0], pattern) for pattern in patterns)


def opened(path: Path) -> Any:
    """A PDF as a ``pymupdf.Document``."""
    packed = path.name.lower().endswith(".gz")
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    return pymupdf.open(stream=content, filetype="pdf")


def main(
    pdf_dir: Annotated[list[Path], typer.Option(help="Folder of PDFs; may be given several times.")],
    out: Annotated[Path, typer.Option(help="New folder for the pages.")],
    font_dir: Annotated[
        Path | None, typer.Option(help="Folder of .ttf and .otf fonts to set pages anew in.")
    ] = None,
    held_out: Annotated[
        list[str] | None, typer.Option(help="Document that is left out; several times.")
    ] = None,
    watched: Annotated[
        list[str] | None, typer.Option(help="Document that is only watched; several times.")
    ] = None,
    watched_font: Annotated[
        list[str] | None, typer.Option(help="Pattern of fonts that are only watched.")
    ] = None,
    most_pages: Annotated[int, typer.Option(min=1, help="Pages of a document, at most.")] = 400,
    set_anew: Annotated[float, typer.Option(min=0, help="Pages set anew for each rendered one.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
) -> None:
    """Render pages, and set as many anew, for a reader's training."""
    settings = PrepareSettings(
        held_out=tuple(held_out or ()),
        watched=tuple(watched or ()),
        watched_fonts=tuple(watched_font or ()),
        most_pages=most_pages,
        set_anew=set_anew,
        seed=seed,
    )
    counts = prepare(pdf_dir, out, font_dir, settings)
    typer.echo(f"{out}: {counts['pages']} pages of {counts['documents']} documents")


if __name__ == "__main__":
    pymupdf.TOOLS.mupdf_display_errors(False)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_app(app, "drag_rl.models.reader.prepare")
