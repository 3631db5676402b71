"""Files of Debian packages by their endings, fonts say, without root: ``python -m data_preprocess.package_files``."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from data_preprocess.debian import DebianPackages
from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import read_manifest, sha256_file, write_manifest

STAGE = "package_files"
LICENCES = "licences"


def fetch_files(packages: Sequence[str], endings: Sequence[str], out: Path) -> tuple[int, bool]:
    """Put all files of some packages that end so into ``out``, and the packages' licences into ``out/licences``.

    Of files of one name the first is taken. Returns how many there are, and whether they had to be fetched. Raises
    ``InputError`` if a package cannot be downloaded or holds no such file, or ``out`` holds something else.
    """
    started = time.monotonic()
    config = {"packages": list(packages), "endings": list(endings)}
    if out.is_dir() and any(out.iterdir()):
        there = read_manifest(out)
        if there.stage == STAGE and {name: there.config.get(name) for name in config} == config:
            return there.counts["files"], False
    out.parent.mkdir(parents=True, exist_ok=True)
    versions: dict[str, str] = {}
    found: dict[str, str] = {}
    with (
        new_folder(out, STAGE) as folder,
        tempfile.TemporaryDirectory(dir=out.parent, prefix=".fetch-") as name,
    ):
        work = Path(name).resolve()
        debian = DebianPackages(work, "give a folder of your own")
        (folder / LICENCES).mkdir()
        for package in packages:
            content = work / package
            versions[package] = debian.unpack(debian.download(package), content)
            licence = content / "usr" / "share" / "doc" / package / "copyright"
            if licence.is_file():
                shutil.copyfile(licence, folder / LICENCES / f"{package}.txt")
            files = [path for path in sorted(content.rglob("*")) if path.name.endswith(tuple(endings))]
            files = [path for path in files if path.is_file() and not path.is_symlink()]
            if not files:
                raise InputError(f"--package {package}: holds no file that ends in {' or '.join(endings)}")
            for path in files:
                if path.name not in found:
                    shutil.copyfile(path, folder / path.name)
                    found[path.name] = sha256_file(path)
            shutil.rmtree(content)
        write_manifest(
            folder,
            stage=STAGE,
            fingerprint=combined(found),
            config={**config, "versions": versions},
            counts={"files": len(found)},
            seconds=time.monotonic() - started,
        )
    return len(found), True


def main(
    package: Annotated[list[str], typer.Option(help="Debian package; may be given several times.")],
    ending: Annotated[list[str], typer.Option(help="Ending of the files, such as .ttf; several times.")],
    out: Annotated[Path, typer.Option(help="New folder for the files.")],
) -> None:
    """Fetch files from Debian packages, without root."""
    count, fetched = fetch_files(package, ending, out)
    typer.echo(f"{out}: {count} files, {'fetched' if fetched else 'up to date'}.")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_app(app, "data_preprocess.package_files")
