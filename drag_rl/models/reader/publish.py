"""Make a trained reader ready to be given away: ``python -m drag_rl.models.reader.publish --run RUN --out FOLDER``.

The manifest of what is given away says how it was trained, from which documents and under which licences these are, and
how good it was found to be.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import read_manifest, write_manifest
from drag_rl.models.folder import folder_fingerprint
from drag_rl.models.reader.folder import CONFIG, TOWER, WORDS
from drag_rl.models.reader.model import load_reader
from drag_rl.models.reader.page_store import PageStore
from drag_rl.models.reader.train import MODEL, trainings_of

STAGE = "drag_rl.models.reader.publish"
_LICENCE = "License:"
"""What a line of a Debian package's copyright file begins with, before the licence's short name."""


def publish(run: Path, out: Path, pages: Path, licences: Iterable[Path], measured: Path | None) -> None:
    """Write the new folder ``out``; raises ``InputError`` if the run has no reader, or was not trained on ``pages``."""
    reader = load_reader(run / MODEL)
    store, trainings = PageStore(pages), trainings_of(run / MODEL)
    if not trainings or trainings[-1]["pages"] != store.fingerprint:
        raise InputError(f"--pages {pages}: the reader of {run} was trained on other pages")
    config: dict[str, Any] = {
        "parameters": sum(weight.numel() for weight in reader.parameters()),
        "licences": {path.stem: licence_names(path) for folder in licences for path in _texts(folder)},
        "measured": json.loads(measured.read_text(encoding="utf-8")) if measured else {},
        "trainings": trainings,
    }
    with new_folder(out, STAGE) as folder:
        for name in (CONFIG, TOWER, WORDS):
            shutil.copyfile(run / MODEL / name, folder / name)
        write_manifest(
            folder,
            stage=STAGE,
            fingerprint=folder_fingerprint(folder),
            inputs=read_manifest(pages).inputs,
            config=config,
            packages=("torch", "transformers"),
        )


def licence_names(path: Path) -> list[str]:
    """The short names of the licences in a Debian package's copyright file, sorted; none where it has no such lines."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    named = (line.removeprefix(_LICENCE).strip() for line in lines if line.startswith(_LICENCE))
    return sorted({name for name in named if name})


def _texts(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"--licences {folder}: no such folder")
    return sorted(folder.glob("*.txt"))


def main(
    run: Annotated[Path, typer.Option(help="Folder of the training.")],
    pages: Annotated[Path, typer.Option(help="Pages that it was trained on.")],
    out: Annotated[Path, typer.Option(help="New folder for the reader.")],
    licences: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of the documents' or fonts' copyright files; several times."),
    ] = None,
    measured: Annotated[Path | None, typer.Option(help="What benchmarks/reader.py --json wrote.")] = None,
) -> None:
    """Put a trained reader into a folder of its own, with all that is known of it."""
    publish(run, out, pages, licences or (), measured)
    typer.echo(f"{out}: {read_manifest(out).fingerprint[:12]}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_app(app, "drag_rl.models.reader.publish")
