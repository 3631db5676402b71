"""Page images are encoded once whatever happens: a build that is killed, pages that change, pages without an image."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from collect_lab import drag
from late_lab import MODEL, indexed, tiles_installed, write_pages
from tile_index import TEXTS, embedder_of, found_by

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import fingerprint_files
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.retrieval.build_progress import BuildProgress
from drag_rl.retrieval.late import encoding
from drag_rl.retrieval.late.store import BITS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.usefixtures("tiles")
def test_pages_without_an_image_are_named_and_not_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = TEXTS | {"dog#4": "unreadable yellow leaf"}
    retriever = indexed(tmp_path, texts)
    manifest = read_manifest(tmp_path / "index")
    assert manifest.counts["problems"] == 1 and manifest.problems[0].where == "dog#4"
    assert manifest.problems[0].reason.startswith("not searched: page dog#4: cannot be rendered")
    (ranking,) = asyncio.run(retriever.search([Query(text="yellow", track=("dog#4", "dog#2"))], 9))
    assert ranking.tracked == (None, 1) and len(ranking.hits) == len(TEXTS) and ranking.exact_to is None
    best, none = asyncio.run(retriever.score("yellow", ["dog#2", "dog#4"]))
    assert none < -1 < best
    words = (
        "index",
        "--pages",
        tmp_path / "pages",
        "--out",
        tmp_path / "again",
        "--kind",
        "late",
        "--model",
        MODEL,
    )
    code, said, _ = drag(capsys, *map(str, words), "--pool", "1", "--no-binary")
    assert code == 0 and "dog#4: not searched: page dog#4: cannot be rendered" in said
    assert not (tmp_path / "again" / BITS).exists()
    write_pages(tmp_path / "other", {"a#1": "unreadable"})
    with pytest.raises(InputError, match="no page has an image to look at; the first: page a#1: cannot be"):
        build_index(tmp_path / "other", tmp_path / "none", "late", model=MODEL)


@pytest.mark.usefixtures("tiles")
def test_images_are_rendered_and_not_kept(tmp_path: Path) -> None:
    write_pages(tmp_path / "pages", TEXTS)
    shutil.rmtree(tmp_path / "pages" / "images")
    build_index(tmp_path / "pages", tmp_path / "index", "late", model=MODEL, pool=1)
    assert found_by(open_retriever(tmp_path / "index"), "yellow leaf")[0] == "dog#2"
    assert not list((tmp_path / "pages").rglob("*.png")) and not list(tmp_path.glob(".drag-*"))


@pytest.mark.usefixtures("tiles")
def test_batches_hold_more_of_smaller_pages(tmp_path: Path) -> None:
    texts = {f"a#{n}": "word " * (4 if n < 9 else 16) for n in range(1, 13)}
    indexed(tmp_path, texts, adapter="batches", batch_size=1)
    largest = 32 * 32  # tokens of an image of as many pixels as page images have at most
    assert embedder_of(adapter="batches", batch_size=1, pool=1).embedded == [12]
    assert embedder_of(adapter="batches", batch_size=1, pool=1).visual_tokens(1024, 1024) == largest


class _KilledError(Exception):
    pass


@pytest.mark.usefixtures("tiles")
def test_a_killed_build_goes_on_and_encodes_no_piece_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "PIECE", 2)
    texts = {f"a#{n}": f"word{n} fox" for n in range(1, 22)} | {"a#22": "unreadable"}
    write_pages(tmp_path / "pages", texts)
    embedder = embedder_of(adapter="killed", pool=1)
    embed, left = embedder.embed_pages, 1

    def dying(images: Any) -> Any:
        nonlocal left
        if not left:
            raise _KilledError
        left -= 1
        return embed(images)

    monkeypatch.setattr(embedder, "embed_pages", dying)
    options = {"model": MODEL, "adapter": "killed", "pool": 1}
    for _ in range(10):
        left = 1
        with pytest.raises(_KilledError):
            build_index(tmp_path / "pages", tmp_path / "index", "late", **options)
    left = 99
    told: list[tuple[int, int]] = []

    class Progress(BuildProgress):
        def at(self, step: str, pages: int, of: int) -> None:
            if step == "encoding page images":
                told.append((pages, of))

    manifest, _ = build_index(tmp_path / "pages", tmp_path / "index", "late", progress=Progress(), **options)
    assert sum(embedder.embedded) == 21, "no page twice"
    assert told[0] == (20, 22) and told[-1] == (22, 22)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    whole, _ = build_index(tmp_path / "pages", elsewhere / "index", "late", **options)
    assert whole.fingerprint == manifest.fingerprint


@pytest.mark.usefixtures("tiles")
def test_only_pages_whose_image_changed_are_encoded_again(tmp_path: Path) -> None:
    indexed(tmp_path, TEXTS, adapter="changed")
    embedder = embedder_of(adapter="changed", pool=1)
    before = sum(embedder.embedded)
    texts = {"ant#1": "black ant", **TEXTS, "dog#2": "yellow tree"}
    updated = indexed(tmp_path, texts, adapter="changed")
    assert sum(embedder.embedded) - before == 2
    assert found_by(updated, "yellow tree")[0] == "dog#2" and found_by(updated, "ant")[0] == "ant#1"
    rebuilt = indexed(tmp_path / "elsewhere", texts, adapter="changed")
    assert rebuilt.fingerprint == updated.fingerprint, "byte by byte"
    write_pages(tmp_path / "pages", dict.fromkeys(texts, "same text, other image"))
    with pytest.raises(InputError, match=r"was not made from .*pages as it is now"):
        open_retriever(tmp_path / "index", tmp_path / "pages")


COMMAND = """
import sys, time
from drag_rl.cli.main import main
from drag_rl.retrieval.late import encoding
from late_lab import TileEmbedder
encoding.PIECE = 4
plain = TileEmbedder.embed_pages
TileEmbedder.embed_pages = lambda self, images: (time.sleep(0.05), plain(self, images))[1]
if __name__ == "__main__":
    main(sys.argv[1:])
"""


@pytest.mark.slow
def test_processes_that_are_killed_end_with_the_same_bytes(tmp_path: Path) -> None:
    """Ten times one process, then two that share the work, give what one build does."""
    texts = {f"a#{n}": f"word{n} fox" for n in range(1, 65)}
    write_pages(tmp_path / "pages", texts)
    (tmp_path / "command.py").write_text(COMMAND)

    def start(out: str, **options: str) -> subprocess.Popen[bytes]:
        given = [word for name, value in options.items() for word in (f"--{name}", value)]
        paths = ("index", "--pages", tmp_path / "pages", "--out", tmp_path / out / "index", "--kind", "late")
        return subprocess.Popen(
            [
                sys.executable,
                tmp_path / "command.py",
                *map(str, paths),
                "--model",
                MODEL,
                "--pool",
                "1",
                *given,
            ],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path / "site", ROOT / "tests", ROOT)))},
            stderr=subprocess.PIPE,
        )

    with tiles_installed(tmp_path):
        for kill in range(1, 11):
            process = start("killed")
            while len(list((tmp_path / "killed").glob(".drag-vectors-*/*.npz"))) < kill:
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        for out, options in (("killed", {}), ("whole", {}), ("two", {"device": "cpu,cpu"})):
            process = start(out, **options)
            assert (process.communicate()[1], process.returncode) == (b"", 0)
    killed, whole, two = (fingerprint_files(tmp_path / out / "index") for out in ("killed", "whole", "two"))
    for files in (killed, whole, two):
        del files["manifest.json"]
    assert killed == whole == two
