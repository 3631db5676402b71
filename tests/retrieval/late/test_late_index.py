"""An index of page images: built once whatever happens, opened at once, refused where it does not fit."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collect_lab import drag
from late_lab import MODEL, TileEmbedder, drawn, indexed, tiles_installed, write_pages

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import fingerprint_files
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.retrieval.build_progress import BuildProgress
from drag_rl.retrieval.documents import index_documents, search
from drag_rl.retrieval.late import encoding
from drag_rl.retrieval.late.embedder import open_multi_vector_embedder
from drag_rl.retrieval.late.index import LateIndex
from drag_rl.retrieval.late.retriever import LateRetriever
from drag_rl.retrieval.late.store import BITS, STARTS, VECTORS, Store
from drag_rl.retrieval.open import holds_model

TEXTS = {
    "cat#1": "red fox runs",
    "cat#2": "blue fox",
    "dog#1": "green tree and a red leaf",
    "dog#2": "yellow leaf",
    "dog#3": "blue tree",
}
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tiles(tmp_path: Path) -> Iterator[dict[str, Any]]:
    with tiles_installed(tmp_path) as options:
        yield options


def embedder_of(**options: Any) -> TileEmbedder:
    """The one that an index with these options uses."""
    found = open_multi_vector_embedder(LateIndex(**{"model": MODEL} | options).embedder_settings)
    assert isinstance(found, TileEmbedder)
    return found


def found_by(retriever: LateRetriever, text: str, **query: Any) -> list[str]:
    (ranking,) = asyncio.run(retriever.search([Query(text=text, **query)], 3))
    return [hit.page_id for hit in ranking.hits]


@pytest.mark.usefixtures("tiles")
def test_pages_are_found_by_what_their_images_show(tmp_path: Path) -> None:
    retriever = indexed(tmp_path, TEXTS)
    assert found_by(retriever, "yellow leaf")[0] == "dog#2"
    assert found_by(retriever, "red fox runs")[0] == "cat#1"
    assert found_by(retriever, "blue tree", scope="cat")[0] == "cat#2"
    (ranking,) = asyncio.run(retriever.search([Query(text="blue fox", track=("cat#2",))], 1))
    assert ranking.hits[0].score == pytest.approx(2, abs=0.01) and ranking.tracked == (1,)
    assert np.array_equal(np.asarray(retriever.page_image("dog#2")), np.asarray(drawn(TEXTS["dog#2"])))
    assert holds_model(tmp_path / "index")


@pytest.mark.usefixtures("tiles")
def test_vectors_are_those_of_the_model_in_bfloat16(tmp_path: Path) -> None:
    retriever = indexed(tmp_path, TEXTS)
    store = Store.open(tmp_path / "index", len(TEXTS))
    seen = retriever.encode_pages([drawn(text) for text in TEXTS.values()])
    for row, vectors in enumerate(seen):
        assert store.of_page(row) == pytest.approx(vectors, abs=2**-8)
    (tmp_path / "image.png").write_bytes((tmp_path / "pages-images" / "dog-2.png").read_bytes())
    assert np.array_equal(retriever.encode_pages([tmp_path / "image.png"])[0], seen[3])
    (query,) = retriever.encode_queries(["yellow leaf"])
    assert query.shape == (2, 128) and (query @ seen[3].T).max(axis=1).sum() == pytest.approx(2, abs=1e-5)


@pytest.mark.usefixtures("tiles")
def test_token_pooling_keeps_a_third(tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(20))
    retriever = indexed(tmp_path, {"a#1": text, "a#2": "fox"}, pool=3)
    store = Store.open(tmp_path / "index", 2)
    assert np.diff(store.starts).tolist() == [20 // 3, 1]
    assert np.linalg.norm(store.of_page(0), axis=1) == pytest.approx(1, abs=0.01)
    assert len(retriever.encode_pages([drawn(text)])[0]) == 20 // 3


@pytest.mark.usefixtures("tiles")
def test_queries_are_embedded_once(tmp_path: Path) -> None:
    retriever = indexed(tmp_path, TEXTS, adapter="once")
    embedder = embedder_of(pool=1, adapter="once")
    for _ in range(3):
        found_by(retriever, "red leaf")
        asyncio.run(retriever.score("red leaf", ["cat#1"]))
    assert embedder.asked == [["red leaf"]]


@pytest.mark.usefixtures("tiles")
def test_it_scores_the_candidates_of_another_index(tmp_path: Path) -> None:
    late = indexed(tmp_path, TEXTS)
    build_index(tmp_path / "pages", tmp_path / "bm25")
    parts = (str(tmp_path / "bm25"), str(tmp_path / "index"))
    build_index(None, tmp_path / "two", "rerank", part=parts)
    reranked = open_retriever(tmp_path / "two")
    (ranking,) = asyncio.run(reranked.search([Query(text="red leaf")], 5))
    scores = asyncio.run(late.score("red leaf", [hit.page_id for hit in ranking.hits]))
    assert scores == sorted(scores, reverse=True) and ranking.hits[0].page_id == "dog#1"
    assert holds_model(tmp_path / "two")
    assert asyncio.run(late.score("--", ["cat#1", "dog#1"])) == [0.0, 0.0]
    with pytest.raises(InputError, match="'nowhere#9' is not in the index"):
        asyncio.run(late.score("red", ["nowhere#9"]))


@pytest.mark.usefixtures("tiles")
def test_the_python_api(tmp_path: Path) -> None:
    paths = []
    for number, text in enumerate(TEXTS.values()):
        paths.append(tmp_path / f"{number}.png")
        drawn(text).save(paths[-1])
    retriever = index_documents(
        list(TEXTS), [""] * len(TEXTS), paths, kind="late", folder=tmp_path / "made", model=MODEL, pool=1
    )
    assert search(retriever, "yellow leaf", top_k=1)[0].page_id == "dog#2"


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


@pytest.mark.usefixtures("tiles")
def test_an_index_is_of_the_images_as_they_are(tmp_path: Path) -> None:
    """The texts are the same, and so is the fingerprint of the pages."""
    indexed(tmp_path, TEXTS)
    build_index(tmp_path / "pages", tmp_path / "bm25")
    build_index(None, tmp_path / "two", "rerank", part=(str(tmp_path / "bm25"), str(tmp_path / "index")))
    for name in ("index", "two"):
        assert open_retriever(tmp_path / name, tmp_path / "pages").fingerprint
    redactions = {"page_id": "dog#2", "boxes": [[0, 0, 32, 32]]}
    (tmp_path / "pages" / "redactions.jsonl").write_text(json.dumps(redactions) + "\n")
    for name in ("index", "two"):
        with pytest.raises(InputError, match=r"was not made from the page images of .*pages as they are now"):
            open_retriever(tmp_path / name, tmp_path / "pages")
    _, built = build_index(tmp_path / "pages", tmp_path / "index", "late", model=MODEL, pool=1)
    assert built
    assert found_by(open_retriever(tmp_path / "index", tmp_path / "pages"), "yellow")[0] != "dog#2"


@pytest.mark.usefixtures("tiles")
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    indexed(tmp_path, TEXTS)
    index = tmp_path / "index"
    manifest = json.loads((index / "manifest.json").read_text())
    manifest["inputs"]["model"] = "another"
    kept = (index / "manifest.json").read_text()
    (index / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="tiles is not the model that saw its pages; run drag index again"):
        open_retriever(index)
    (index / "manifest.json").write_text(kept)
    starts = (index / STARTS).read_bytes()
    (index / STARTS).write_bytes(starts[:-8] + bytes(8))
    with pytest.raises(InputError, match=r"image_starts.npy: truncated or changed; run drag index again"):
        open_retriever(index)
    with pytest.raises(InputError, match="its vectors do not fit its pages; run drag index again"):
        Store.open(index, len(TEXTS))
    (index / STARTS).write_bytes(starts)
    (tmp_path / "pages" / "manifest.json").unlink()
    with pytest.raises(InputError, match="its folder of pages is gone, so that page images cannot be shown"):
        open_retriever(index).page_image("cat#1")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "--model is missing"),
        ({"model": MODEL, "pool": 0}, "--pool must be 1 or more, not 0"),
        ({"model": MODEL, "rescore_ratio": 0}, "--rescore-ratio must be 1 or more, not 0"),
        (
            {"model": MODEL, "prefilter": "magic"},
            "--prefilter 'magic' is not known; choose hamming, asymmetric",
        ),
        ({"model": MODEL, "max_visual_tokens": -1}, "--max-visual-tokens must be 0 or more, not -1"),
        ({"model": MODEL, "device": "cpu,"}, "--device cpu,: give names with a comma between two"),
        ({"model": MODEL, "search_device": "abacus"}, "--search-device abacus: "),
    ],
)
@pytest.mark.usefixtures("tiles")
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    write_pages(tmp_path / "pages", {"a#1": "fox"})
    with pytest.raises(InputError, match="^" + reason):
        build_index(tmp_path / "pages", tmp_path / "index", "late", **options)
        found_by(open_retriever(tmp_path / "index"), "fox")


@pytest.mark.usefixtures("tiles")
def test_pages_without_images_are_refused(tmp_path: Path) -> None:
    from tiny_corpus import write_pages as write_texts

    write_texts(tmp_path / "pages", ["fox"])
    with pytest.raises(InputError, match=r"--kind late looks at page images: .*made from an OCR file"):
        build_index(tmp_path / "pages", tmp_path / "index", "late", model=MODEL)


def test_the_store_of_a_million_pages_opens_at_once(tmp_path: Path) -> None:
    """Sparse files: 64 GB of vectors and 4 GB of bits that take no room on the disk."""
    pages, of_each = 1_000_000, 250
    np.save(tmp_path / STARTS, np.arange(pages + 1) * of_each)
    for name, dtype, width in ((VECTORS, np.uint16, 128), (BITS, np.uint64, 2)):
        with (tmp_path / name).open("wb") as file:
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (pages * of_each, width)}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + pages * of_each * width * np.dtype(dtype).itemsize)
    began = time.perf_counter()
    store = Store.open(tmp_path, pages)
    assert time.perf_counter() - began < 1
    assert len(store) == pages and not store.of_page(pages - 1).any()


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
